export enum Color { Red, Green = 5, Blue }
export declare namespace Types { const none: number; }
export namespace Space { export const origin: [number, number] = [0, 0]; }
export interface Only { a: number }
