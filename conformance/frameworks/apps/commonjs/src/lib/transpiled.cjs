"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.default = { is: "the default" };
exports.value = 1;
