/** Where a value of the configuration comes from, by its key `section.name`. */
export interface SettingName {
  readonly section: string;
  readonly name: string;
}

export function keyOf({ section, name }: SettingName): string {
  return `${section}.${name}`;
}

/** `store.url` is `DINP_STORE_URL`. */
export function variableOf({ section, name }: SettingName): string {
  return `DINP_${snake(section)}_${snake(name)}`;
}

/** `store.url` is `--store-url`; of the program's own section the name alone: `router.listen` is `--listen` of the router. */
export function flagOf({ section, name }: SettingName, ownSection: string): string {
  return section === ownSection ? kebab(name) : `${kebab(section)}-${kebab(name)}`;
}

function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function snake(name: string): string {
  return kebab(name).replaceAll("-", "_").toUpperCase();
}
