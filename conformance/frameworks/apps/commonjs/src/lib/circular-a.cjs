exports.early = "early";
const b = require("./circular-b.cjs");
exports.late = "late";
exports.seenByB = b.seen;
