import { newId, type Random } from "@dinp/core";
import { createFileLocalState } from "@dinp/core/system";

/** A name of a program's own: the one that is given, else one that was made at its first start and kept in its folder. */
export async function ownId(
  given: string | null,
  { dir, prefix, random }: { readonly dir: string; readonly prefix: string; readonly random: Random },
): Promise<string> {
  if (given !== null) return given;
  const state = createFileLocalState({ dir });
  const key = `${prefix}-id`;
  const known = await state.read(key);
  if (known !== null) return known;
  const made = newId(random, prefix);
  await state.write(key, made);
  return made;
}
