"use strict";
// Everything comes from the page itself: base64 of deflated bytes, in script elements that are never run.

const byId = (id) => document.getElementById(id);

function bytesOf(element) {
  const raw = atob(element.textContent);
  const bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  element.remove();
  return bytes;
}

function blob(number) {
  return bytesOf(byId("blob" + number));
}

async function inflated(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function unpackJson(bytes) {
  return JSON.parse(new TextDecoder().decode(await inflated(bytes)));
}

// The bytes of all items come place by place; put them back together.
async function unpackArray(number, Kind) {
  const planes = await inflated(blob(number));
  const size = Kind.BYTES_PER_ELEMENT;
  const count = planes.length / size;
  const bytes = new Uint8Array(planes.length);
  for (let place = 0; place < size; place++) {
    for (let i = 0, from = place * count, to = place; i < count; i++, to += size) bytes[to] = planes[from + i];
  }
  return new Kind(bytes.buffer);
}

const MISSING = 65535;

async function loadPage() {
  const about = await unpackJson(bytesOf(byId("about")));
  const spaces = await Promise.all(about.spaces.map(async (space) => ({
    name: space.name,
    x: await unpackArray(space.x, Float32Array),
    y: await unpackArray(space.y, Float32Array),
  })));
  const columns = await Promise.all(about.columns.map(async (column) => ({
    ...column,
    values: await unpackArray(column.values, column.kind === "number" ? Float32Array : Uint16Array),
  })));
  const content = await unpackJson(blob(about.content));
  return { name: about.name, n: about.rows, total: about.total, spaces, columns, content, images: about.images };
}

// An element; strings become text nodes, never markup.
function make(tag, properties, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(properties || {})) {
    if (key.includes("-")) element.setAttribute(key, value);
    else element[key] = value;
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

// A thumbnail is a part of a sheet, shown as the background of an element; sheets are opened when they are needed.
const sheetAddresses = [];

function thumbnail(page, row, side) {
  const { across, sheets, side: own } = page.images;
  const sheet = Math.floor(row / (across * across));
  const place = row % (across * across);
  sheetAddresses[sheet] ||= URL.createObjectURL(new Blob([blob(sheets[sheet])], { type: "image/webp" }));
  const scale = side / own;
  const element = make("div", { className: own * 2 < side ? "thumbnail large-pixels" : "thumbnail" });
  Object.assign(element.style, {
    width: side + "px",
    height: side + "px",
    backgroundImage: `url("${sheetAddresses[sheet]}")`,
    backgroundSize: `${across * side}px auto`,
    backgroundPosition: `${-(place % across) * own * scale}px ${-Math.floor(place / across) * own * scale}px`,
  });
  return element;
}
