export const lazy = (): string => "loaded when asked for";

export const langs = async (name: string): Promise<unknown> => (await import(`./langs/${name}.ts`)).default;
