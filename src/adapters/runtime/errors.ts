import { DinpError, type ImageRef } from "@dinp/core";

export function closedError(): DinpError {
  return new DinpError("DINP_CLOSED", "The runtime is closed.");
}

export function noInstance(instanceId: string): DinpError {
  return new DinpError("DINP_NOT_FOUND", `There is no instance ${instanceId} on this node.`);
}

/** For a command beside an instance that has ended. */
export function notRunning(instanceId: string): DinpError {
  return new DinpError("DINP_INVALID", `The instance ${instanceId} does not run any more.`, {
    hint: "Name another instance, or start a one-off.",
    details: { field: "instance" },
  });
}

export function notPrepared({ digest }: ImageRef): DinpError {
  return new DinpError("DINP_IMAGE_NOT_FOUND", `Image ${digest} is not prepared on this node.`, {
    hint: "Call prepareImage first.",
  });
}
