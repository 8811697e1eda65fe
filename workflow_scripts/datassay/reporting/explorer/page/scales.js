// Numbers to colours and to text.

const DARK = matchMedia("(prefers-color-scheme: dark)");

// Twelve hues that the colour-blind can tell apart as far as twelve can be; more classes use them again.
const CLASS_COLOURS = [
  "#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9",
  "#a39600", "#5a4fb5", "#8c2d62", "#5d8f22", "#7a7a7a", "#b58a63",
];
const CLASS_COLOURS_DARK = [
  "#3a9bdc", "#f0b429", "#1fc39a", "#f2763a", "#e39ac2", "#8fd0f5",
  "#d9cf4a", "#9c92f0", "#d46aa3", "#9ccc5e", "#a6adb8", "#d8b48f",
];
const NO_VALUE = { light: "#b9c0cb", dark: "#4d5665" };
// Stops of viridis, whose lightness grows evenly; the end that would vanish against the background is left off.
const STOPS = [
  [68, 1, 84], [72, 36, 117], [65, 68, 135], [53, 95, 141], [42, 120, 142], [33, 145, 140], [34, 168, 132],
  [68, 191, 112], [122, 209, 81], [189, 223, 38], [253, 231, 37],
];
const SCALE_PART = { light: [0, 0.92], dark: [0.2, 1] };

const theme = () => (DARK.matches ? "dark" : "light");

// Colours are one 32-bit number, red in the lowest byte: what ImageData holds on every little-endian machine.
function pixel(red, green, blue) {
  return (0xff000000 | (blue << 16) | (green << 8) | red) >>> 0;
}

function pixelOf(hex) {
  return pixel(...[1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)));
}

function cssOf(colour) {
  return `rgb(${colour & 255} ${(colour >> 8) & 255} ${(colour >> 16) & 255})`;
}

function scaleColour(share) {
  const [low, high] = SCALE_PART[theme()];
  const at = Math.min(Math.max(low + share * (high - low), 0), 1) * (STOPS.length - 1);
  const before = Math.min(Math.floor(at), STOPS.length - 2);
  const [from, to] = [STOPS[before], STOPS[before + 1]];
  return pixel(...from.map((part, i) => Math.round(part + (to[i] - part) * (at - before))));
}

function scaleTable() {
  return Uint32Array.from({ length: 256 }, (_, i) => scaleColour(i / 255));
}

function classColour(code) {
  const colours = DARK.matches ? CLASS_COLOURS_DARK : CLASS_COLOURS;
  return pixelOf(code === MISSING ? NO_VALUE[theme()] : colours[code % colours.length]);
}

// The finite numbers in order, kept with the column: percentiles and ranges are read from it.
function sorted(column) {
  column.sorted ||= column.values.filter(Number.isFinite).sort();
  return column.sorted;
}

function percentile(column, share) {
  const values = sorted(column);
  return values.length ? values[Math.round(share * (values.length - 1))] : NaN;
}

// From the 2nd to the 98th percentile, so that a few extremes do not take all the colours.
function robustRange(column) {
  let [low, high] = [percentile(column, 0.02), percentile(column, 0.98)];
  if (low === high) [low, high] = [percentile(column, 0), percentile(column, 1)];
  return [low, high];
}

function pointColours(column, n) {
  const colours = new Uint32Array(n);
  if (column.kind === "category") {
    for (let i = 0; i < n; i++) colours[i] = classColour(column.values[i]);
    return colours;
  }
  const table = scaleTable();
  const none = pixelOf(NO_VALUE[theme()]);
  const [low, high] = robustRange(column);
  const step = high > low ? 255 / (high - low) : 0;
  for (let i = 0; i < n; i++) {
    const value = column.values[i];
    const at = step ? (value - low) * step : 128;
    colours[i] = value === value ? table[at < 0 ? 0 : at > 255 ? 255 : Math.round(at)] : none;
  }
  return colours;
}

function formatNumber(value) {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size >= 1e6 || (size < 1e-3 && size > 0)) return value.toExponential(2).replace("-", "−").replace("e+", "e");
  const digits = Number.isInteger(value) ? 0 : size >= 1000 ? 1 : size >= 10 ? 2 : size >= 1 ? 3 : 4;
  return value.toFixed(digits).replace("-", "−");
}

// The digits that ticks of even steps need, and no more.
function tickText(value) {
  const plain = Number(value.toPrecision(6));
  const size = Math.abs(plain);
  return (size && (size >= 1e6 || size < 1e-4) ? plain.toExponential() : String(plain)).replace("-", "−").replace("e+", "e");
}

const formatCount = (count) => count.toLocaleString("en-US");

function readable(name) {
  return name.replaceAll("_", " ");
}

function valueText(column, row) {
  const value = column.values[row];
  if (column.kind === "number") return formatNumber(value);
  return value === MISSING ? "–" : column.names[value];
}

function ticks(low, high, most) {
  if (!(high > low)) return [low];
  const rough = (high - low) / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough);
  const found = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step * 1e-9; at += step) found.push(Math.abs(at) < step * 1e-9 ? 0 : at);
  return found;
}
