"use strict";
// Search, copying and trying. A token stays in this page's memory: nothing is stored.
const base = location.pathname.replace(/\/docs\/?$/, "/");
const MAX_SHOWN = 100000;
const find = (selector, root = document) => [...root.querySelectorAll(selector)];

const search = document.getElementById("search");
search.hidden = false;
search.addEventListener("input", () => {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const section of find("main section")) {
    const text = section.textContent.toLowerCase();
    section.hidden = !words.every((word) => text.includes(word));
  }
  for (const link of find("nav a[href^='#']")) {
    const section = document.getElementById(link.hash.slice(1));
    link.hidden = section !== null && section.hidden;
  }
  document.getElementById("nothing").hidden = find("main section").some((one) => !one.hidden);
});
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && !/^(INPUT|TEXTAREA)$/.test(document.activeElement.tagName)) {
    event.preventDefault();
    search.focus();
  }
});

for (const pre of find("pre.copy")) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(pre.textContent);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
  pre.before(button);
}

const token = document.getElementById("token");
const login = document.getElementById("login");
login.hidden = false;
login.addEventListener("submit", async (event) => {
  event.preventDefault();
  const said = login.querySelector("output");
  const form = new URLSearchParams(new FormData(login));
  form.delete("token");
  form.set("grant_type", "client_credentials");
  try {
    const response = await fetch(`${base}oauth/token`, { method: "POST", body: form, credentials: "omit" });
    const body = await response.json();
    token.value = body.access_token ?? "";
    said.textContent = response.ok ? "A token was issued." : `${response.status} ${body.error_description ?? body.error ?? ""}`;
  } catch (error) {
    said.textContent = String(error);
  }
});

for (const form of find("form.try")) {
  form.closest("details").hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const result = form.querySelector("pre");
    const button = form.querySelector("button");
    button.disabled = true;
    result.textContent = "…";
    try {
      result.textContent = await sent(form);
    } catch (error) {
      result.textContent = String(error);
    }
    button.disabled = false;
  });
}

async function sent(form) {
  let path = form.dataset.path.slice(1);
  for (const field of find("[data-part]", form)) {
    path = path.replace(`{${field.dataset.part}}`, encodeURIComponent(field.value));
  }
  const query = form.elements.namedItem("query").value.replace(/^\?/, "");
  const body = form.elements.namedItem("body");
  const headers = {};
  if (token.value) headers.authorization = `Bearer ${token.value}`;
  if (body) headers["content-type"] = form.dataset.media;
  const response = await fetch(base + path + (query ? `?${query}` : ""), {
    method: form.dataset.method, headers, body: body?.value, credentials: "omit",
  });
  const text = (await response.text()).slice(0, MAX_SHOWN);
  let shown = text;
  try { shown = JSON.stringify(JSON.parse(text), null, 2); } catch { /* not JSON: as it is */ }
  return `${response.status} ${response.statusText}\n\n${shown}`;
}
