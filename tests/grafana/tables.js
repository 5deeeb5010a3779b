// What Grafana's own transformations make of tables' answers. Reads a list of
// {transformations, queries: [{refId, table, answer}]} and writes the frames of each, as {fields: [{name, values}]}.
const { createRequire } = require("node:module");
const { readFileSync } = require("node:fs");
const { join } = require("node:path");

const packages = createRequire(join(process.cwd(), "package.json"));
// It asks for a browser's window when it is loaded.
const { JSDOM } = packages("jsdom");
const { window } = new JSDOM("", { url: "http://127.0.0.1/" });
Object.assign(globalThis, { window, document: window.document, localStorage: window.localStorage });
const grafana = packages("@grafana/data");

grafana.standardTransformersRegistry.setInit(() =>
  // One of them has two names.
  [...new Set(Object.values(grafana.standardTransformers))].map((one) => ({ ...one, transformation: one })),
);

// All queries of a panel are asked of the same moment, which is a field they are merged by.
const MOMENT = 0;
const numbers = (values) => values.map((value) => parseFloat(value));

// As the Prometheus data source does: one frame for a query, with a field for each label of any of its series.
function asTable({ refId, answer }, many) {
  const labels = [...new Set(answer.flatMap(({ metric }) => Object.keys(metric).sort()))];
  const fields = [
    { name: "Time", type: "time", config: {}, values: answer.map(() => MOMENT) },
    ...labels.map((name) => ({
      name,
      type: "string",
      config: {},
      values: answer.map(({ metric }) => metric[name] ?? ""),
    })),
    {
      name: many ? `Value #${refId}` : "Value",
      type: "number",
      config: {},
      values: numbers(answer.map(({ value }) => value[1])),
    },
  ];
  // One query alone that finds nothing is a frame without fields.
  return { refId, fields: many || answer.length ? fields : [], length: answer.length };
}

// Else a frame for each series.
function asSeries({ refId, answer }) {
  return answer.map(({ metric, value }) => ({
    refId,
    fields: [
      { name: "Time", type: "time", config: {}, values: [MOMENT] },
      { name: "Value", type: "number", config: {}, labels: metric, values: numbers([value[1]]) },
    ],
    length: 1,
  }));
}

function transformed({ transformations, queries }) {
  const tables = queries.filter(({ table }) => table).length;
  const frames = queries.flatMap((query) => (query.table ? [asTable(query, tables > 1)] : asSeries(query)));
  return new Promise((resolve, reject) => {
    // No variable is in a transformation.
    grafana.transformDataFrame(transformations, frames, { interpolate: (text) => text }).subscribe({
      next: (made) =>
        resolve(
          made.map((frame) => ({
            fields: frame.fields.map((field) => ({
              name: grafana.getFieldDisplayName(field, frame, made),
              values: Array.from(field.values),
            })),
          })),
        ),
      error: reject,
    });
  });
}

Promise.all(JSON.parse(readFileSync(0, "utf8")).map(transformed)).then((made) =>
  process.stdout.write(JSON.stringify(made)),
);
