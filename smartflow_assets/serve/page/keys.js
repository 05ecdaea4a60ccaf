// Keys of the whole page. Single keys can be turned off (their list has the switch), and mean nothing while a person types.
import { keys } from "./dialogs.js";
import { remembered } from "./storage.js";

const GO = { o: "#/", a: "#/anomalies", i: "#/incidents", d: "#/deliveries", c: "#/checks" };
const PRESS = { t: "#theme", m: "#sound", v: "#views", e: "[data-key=e]", l: "[data-key=l]", "+": "[data-key='+']", "-": "[data-key='-']", "[": "[data-key='[']", "]": "[data-key=']']" };
let isGoing = false;

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape") {
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
    return;
  }
  if (event.target.closest?.("input:not([type=checkbox]):not([type=range]), textarea, select") || document.querySelector("dialog[open]")) return;
  if (event.key === "?") return keys();
  if (!remembered("keys", true)) return;
  if (isGoing && event.key in GO) location.hash = GO[event.key];
  else if (event.key === "/") {
    const search = document.querySelector("main input[type=search]");
    if (search) {
      event.preventDefault();
      search.focus();
    }
  } else if (!isGoing && event.key in PRESS) document.querySelector(PRESS[event.key])?.click();
  isGoing = !isGoing && event.key === "g";
  if (isGoing) setTimeout(() => (isGoing = false), 1_200);
});

addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
});
