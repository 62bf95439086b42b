import { isDinpError, type StateStore } from "@dinp/core";

/** What the store has under the key, which is `value` from the first call on; of two at the same time one counts. */
export async function settle(store: StateStore, key: string, value: string): Promise<string> {
  const known = await store.get("setting", key);
  if (known !== null) return known.value.value;
  try {
    await store.commit([{ op: "put", kind: "setting", value: { key, value }, ifRevision: "absent" }]);
    return value;
  } catch (error) {
    // Of a commit whose connection was lost it is read what became of it.
    if (!isDinpError(error, "DINP_CONFLICT") && !isDinpError(error, "DINP_COMMIT_UNKNOWN")) throw error;
    return await settle(store, key, value);
  }
}
