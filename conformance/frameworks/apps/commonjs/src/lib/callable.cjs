module.exports = function twice(x) { return x * 2; };
module.exports.extra = "extra";
