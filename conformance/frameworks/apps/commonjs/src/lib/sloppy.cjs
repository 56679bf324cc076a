var self = this;
implicit = 010;
function first(a, a) { return a; }
module.exports = function () {
  arguments[0] = 1;
  with ({ inside: "with" }) { var seen = inside; }
  return [implicit, first(1, 2), seen, self === exports, typeof (function () { return this; })(), delete Object.prototype, arguments.length, module.loaded, typeof __filename, typeof __dirname, typeof module.id, module.exports === require("./sloppy.cjs")];
};
