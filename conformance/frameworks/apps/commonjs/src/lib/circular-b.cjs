const a = require("./circular-a.cjs");
exports.seen = { ...a };
