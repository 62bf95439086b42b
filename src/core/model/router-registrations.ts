/**
 * The key of the setting that every new registration of a router writes. Who concludes from the routers that there are that
 * a port is free checks that no other has come since: the newcomer may have read a table that the port is still in.
 */
export const routerRegistrationsKey = "router-registrations";
