import { render } from "preact";
import { Dash } from "./dash.js";

const root = document.getElementById("dash");
if (root !== null) render(<Dash />, root);

// A file that is dropped beside its place must not take the page's.
for (const type of ["dragover", "drop"] as const) {
  addEventListener(type, (event) => {
    event.preventDefault();
  });
}
