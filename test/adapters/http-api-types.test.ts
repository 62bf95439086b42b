import type {
  AppDetail,
  AppView,
  BaseView,
  BuildLogView,
  BuildView,
  DomainRequest,
  DomainView,
  EnvRequest,
  EnvView,
  EventView,
  LogLineView,
  NodeView,
  PlatformInfo,
  ReleaseRequest,
  ReleaseResult,
  ReleaseView,
  RollbackRequest,
  RolloutView,
  ScaleRequest,
  SessionView,
} from "@dinp/core";
import type { z } from "@hono/zod-openapi";
import { expectTypeOf, it } from "vitest";
import type { baseSchema } from "../../src/adapters/http-api/base-routes.js";
import type { buildLogSchema } from "../../src/adapters/http-api/build-routes.js";
import type * as schema from "../../src/adapters/http-api/schema.js";

/** Without `readonly`, which schemas cannot say of fields. */
type Plain<T> = T extends readonly (infer Item)[]
  ? Plain<Item>[]
  : T extends object
    ? { -readonly [K in keyof T]: Plain<T[K]> }
    : T;
type Out<S extends z.ZodType> = Plain<z.output<S>>;

it("the schemas agree with the public types", () => {
  expectTypeOf<Out<typeof schema.infoSchema>>().toEqualTypeOf<Plain<PlatformInfo>>();
  expectTypeOf<Out<typeof schema.sessionSchema>>().toEqualTypeOf<Plain<SessionView>>();
  expectTypeOf<Out<typeof schema.appSchema>>().toEqualTypeOf<Plain<AppView>>();
  expectTypeOf<Out<typeof schema.appDetailSchema>>().toEqualTypeOf<Plain<AppDetail>>();
  expectTypeOf<Out<typeof schema.releaseSchema>>().toEqualTypeOf<Plain<ReleaseView>>();
  expectTypeOf<Out<typeof schema.releaseResultSchema>>().toEqualTypeOf<Plain<ReleaseResult>>();
  expectTypeOf<Out<typeof schema.rolloutSchema>>().toEqualTypeOf<Plain<RolloutView>>();
  expectTypeOf<Out<typeof schema.envSchema>>().toEqualTypeOf<Plain<EnvView>>();
  expectTypeOf<Out<typeof schema.buildSchema>>().toEqualTypeOf<Plain<BuildView>>();
  expectTypeOf<Out<typeof baseSchema>>().toEqualTypeOf<Plain<BaseView>>();
  expectTypeOf<Out<typeof buildLogSchema>>().toEqualTypeOf<Plain<BuildLogView>>();
  expectTypeOf<Out<typeof schema.domainSchema>>().toEqualTypeOf<Plain<DomainView>>();
  expectTypeOf<Out<typeof schema.nodeSchema>>().toEqualTypeOf<Plain<NodeView>>();
  expectTypeOf<Out<typeof schema.eventSchema>>().toEqualTypeOf<Plain<EventView>>();
  expectTypeOf<Out<typeof schema.logLineSchema>>().toEqualTypeOf<Plain<LogLineView>>();
  expectTypeOf<Out<typeof schema.scaleRequestSchema>>().toEqualTypeOf<Plain<ScaleRequest>>();
  expectTypeOf<Out<typeof schema.releaseRequestSchema>>().toEqualTypeOf<Plain<ReleaseRequest>>();
  expectTypeOf<Out<typeof schema.rollbackRequestSchema>>().toEqualTypeOf<Plain<RollbackRequest>>();
  expectTypeOf<Out<typeof schema.envRequestSchema>>().toEqualTypeOf<Plain<EnvRequest>>();
  expectTypeOf<Out<typeof schema.domainRequestSchema>>().toEqualTypeOf<Plain<DomainRequest>>();
});
