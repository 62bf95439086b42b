import { useEffect, useState } from "preact/hooks";

/** What the page shows, as the part of its URL after `#` says: all apps, or one. */
export type Place = { readonly kind: "apps" } | { readonly kind: "app"; readonly name: string };

const APP = /^#\/apps\/([^/]+)$/;

export function placeOf(hash: string): Place {
  const encoded = APP.exec(hash)?.[1];
  if (encoded === undefined) return { kind: "apps" };
  try {
    return { kind: "app", name: decodeURIComponent(encoded) };
  } catch {
    return { kind: "apps" };
  }
}

/** The `href` of an app. */
export function hrefOf(app: string): string {
  return `#/apps/${encodeURIComponent(app)}`;
}

/** Follows the page's URL. */
export function usePlace(): Place {
  const [hash, setHash] = useState(location.hash);
  useEffect(() => {
    const follow = (): void => {
      setHash(location.hash);
    };
    addEventListener("hashchange", follow);
    return () => {
      removeEventListener("hashchange", follow);
    };
  }, []);
  return placeOf(hash);
}
