import { DinpError, type ImageRef } from "@dinp/core";

export function closedError(): DinpError {
  return new DinpError("DINP_CLOSED", "The runtime is closed.");
}

export function noInstance(instanceId: string): DinpError {
  return new DinpError("DINP_NOT_FOUND", `There is no instance ${instanceId} on this node.`);
}

export function notPrepared({ digest }: ImageRef): DinpError {
  return new DinpError("DINP_IMAGE_NOT_FOUND", `Image ${digest} is not prepared on this node.`, {
    hint: "Call prepareImage first.",
  });
}
