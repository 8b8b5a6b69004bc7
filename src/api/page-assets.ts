// The page's files, embedded in the program as text.

import alertView from "./page/alert-view.js" with { type: "text" };
import icon from "./page/icon.svg" with { type: "text" };
import style from "./page/page.css" with { type: "text" };
import html from "./page/page.html" with { type: "text" };
import script from "./page/page.js" with { type: "text" };

/** One file of the page. */
export interface PageAsset {
  readonly mediaType: string;
  readonly text: string;
}

/** The page's files by path. They hold no data and are served without a token. */
export const PAGE_ASSETS: ReadonlyMap<string, PageAsset> = new Map([
  ["/", { mediaType: "text/html; charset=utf-8", text: html }],
  ["/page.css", { mediaType: "text/css; charset=utf-8", text: style }],
  ["/page.js", { mediaType: "text/javascript; charset=utf-8", text: script }],
  ["/alert-view.js", { mediaType: "text/javascript; charset=utf-8", text: alertView }],
  ["/icon.svg", { mediaType: "image/svg+xml", text: icon }],
]);
