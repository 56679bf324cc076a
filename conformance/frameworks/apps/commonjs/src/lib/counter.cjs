let count = 0;
module.exports = { next() { return ++count; } };
