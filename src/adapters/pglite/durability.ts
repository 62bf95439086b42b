/** What an acknowledged commit survives: the death of this process only, or also a loss of power. */
export type PgliteDurability = "process-crash" | "power-loss";
