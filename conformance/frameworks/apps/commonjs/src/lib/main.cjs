"use strict";
let loads = 0;
exports.named = "named";
exports.counter = require("./counter.cjs");
exports.lazy = function () {
  loads++;
  return [require("./late.cjs").at, loads];
};
