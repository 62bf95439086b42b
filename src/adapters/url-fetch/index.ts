export {
  createUploadFetcher,
  type HostResolver,
  type UploadFetchLimits,
  type UploadFetcherOptions,
} from "./upload-fetcher.js";
