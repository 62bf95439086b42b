export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

const ID_MAX = 2 ** 32 - 2;

/**
 * The owner that `USER`, `USER:GROUP` or numbers stand for, by the texts of `/etc/passwd` and `/etc/group`; a user alone brings the
 * group of its own number or entry. Null when a name is not known.
 */
export function ownerOf(text: string, passwd: string, group: string): Owner | null {
  const [user = "", groupName] = text.split(":", 2);
  const entry = fieldsOf(passwd, user);
  const uid = idOf(user) ?? idOf(entry?.[2]);
  if (uid === null) return null;
  if (groupName === undefined) return { uid, gid: idOf(user) ?? idOf(entry?.[3]) ?? uid };
  const gid = idOf(groupName) ?? idOf(fieldsOf(group, groupName)?.[2]);
  return gid === null ? null : { uid, gid };
}

function fieldsOf(text: string, name: string): readonly string[] | null {
  const line = text.split("\n").find((each) => each.startsWith(`${name}:`));
  return line === undefined ? null : line.split(":");
}

function idOf(text: string | undefined): number | null {
  return text !== undefined && /^\d{1,10}$/.test(text) && Number(text) <= ID_MAX ? Number(text) : null;
}
