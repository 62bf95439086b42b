/** The bases that the platform's own templates ask for; each can be made of a machine that has the programs. */
export const hostBaseNames = ["linux", "static", "node", "python", "php", "java", "tomcat"] as const;

export type HostBaseName = (typeof hostBaseNames)[number];
