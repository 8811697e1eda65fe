// Discs drawn straight into the pixels of a canvas. A loop over typed arrays needs no graphics card, and without one
// it is several times as fast as WebGL.

const PLACES = 4; // sub-pixel positions per axis, so that discs do not jump from pixel to pixel

class Raster {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { alpha: false });
    this.masks = new Map();
  }

  resize(width, height) {
    this.canvas.width = width;
    this.canvas.height = height;
    this.image = this.context.createImageData(width, height);
    this.pixels = new Int32Array(this.image.data.buffer); // signed: unsigned ones would not fit a small integer
  }

  // The pixels that a disc covers, and how much of each (0 to 256), for every sub-pixel position one after the other.
  mask(radius, opacity) {
    const key = radius + "/" + opacity;
    if (this.masks.has(key)) return this.masks.get(key);
    const reach = Math.ceil(radius + 0.5);
    const [starts, right, down, cover] = [[0], [], [], []];
    for (let place = 0; place < PLACES * PLACES; place++) {
      const across = ((place % PLACES) + 0.5) / PLACES - 0.5;
      const up = (Math.floor(place / PLACES) + 0.5) / PLACES - 0.5;
      for (let y = -reach; y <= reach; y++) {
        for (let x = -reach; x <= reach; x++) {
          const share = Math.round(256 * opacity * Math.min(Math.max(radius + 0.5 - Math.hypot(x - across, y - up), 0), 1));
          if (!share) continue;
          right.push(x);
          down.push(y);
          cover.push(share);
        }
      }
      starts.push(cover.length);
    }
    if (this.masks.size > 200) this.masks.clear();
    const made = { reach, starts, right: Int8Array.from(right), down: Int8Array.from(down), cover: Uint16Array.from(cover) };
    this.masks.set(key, made);
    return made;
  }

  clear(colour) {
    this.pixels.fill(colour);
  }

  // rows: which points; x, y: their places in pixels; colours: one per point, or one number for all.
  discs(rows, x, y, colours, radius, opacity) {
    const { reach, starts, right, down, cover } = this.mask(radius, opacity);
    const { pixels } = this;
    const { width, height } = this.canvas;
    const steps = Int32Array.from(cover, (_, m) => down[m] * width + right[m]);
    const single = typeof colours === "number";
    for (let k = 0; k < rows.length; k++) {
      const row = rows[k];
      const left = Math.floor(x[row]);
      const top = Math.floor(y[row]);
      if (left < -reach || top < -reach || left >= width + reach || top >= height + reach) continue;
      const cut = left < reach || top < reach || left >= width - reach || top >= height - reach;
      const colour = single ? colours : colours[row];
      const red = colour & 255, green = (colour >> 8) & 255, blue = (colour >> 16) & 255;
      const place = Math.floor((y[row] - top) * PLACES) * PLACES + Math.floor((x[row] - left) * PLACES);
      const middle = top * width + left;
      for (let m = starts[place]; m < starts[place + 1]; m++) {
        if (cut && !this.has(left + right[m], top + down[m])) continue;
        const at = middle + steps[m];
        const share = cover[m];
        const below = pixels[at];
        const r = below & 255, g = (below >> 8) & 255, b = (below >> 16) & 255;
        pixels[at] = 0xff000000 | ((b + (((blue - b) * share) >> 8)) << 16)
          | ((g + (((green - g) * share) >> 8)) << 8) | (r + (((red - r) * share) >> 8));
      }
    }
  }

  has(x, y) {
    return x >= 0 && y >= 0 && x < this.canvas.width && y < this.canvas.height;
  }

  present() {
    this.context.putImageData(this.image, 0, 0);
  }
}

// Which points lie near a place: cells of the screen, filled by a counting sort.
class Grid {
  constructor(rows, x, y, width, height, size) {
    const count = rows.length;
    Object.assign(this, { x, y, size, across: Math.ceil(width / size), down: Math.ceil(height / size) });
    const starts = new Uint32Array(this.across * this.down + 2);
    const cells = new Int32Array(count);
    for (let k = 0; k < count; k++) {
      const row = rows[k];
      const inside = x[row] >= 0 && y[row] >= 0 && x[row] < width && y[row] < height;
      cells[k] = inside ? Math.floor(y[row] / size) * this.across + Math.floor(x[row] / size) : -1;
      if (inside) starts[cells[k] + 2]++;
    }
    for (let cell = 2; cell < starts.length; cell++) starts[cell] += starts[cell - 1];
    this.rows = new Uint32Array(count);
    for (let k = 0; k < count; k++) if (cells[k] >= 0) this.rows[starts[cells[k] + 1]++] = rows[k];
    this.starts = starts;
  }

  // The nearest point within `reach` (at most the size of a cell), -1 where there is none; of equals the one on top.
  nearest(x, y, reach) {
    let best = -1, least = reach * reach;
    const column = Math.floor(x / this.size), line = Math.floor(y / this.size);
    for (let v = Math.max(line - 1, 0); v <= Math.min(line + 1, this.down - 1); v++) {
      for (let u = Math.max(column - 1, 0); u <= Math.min(column + 1, this.across - 1); u++) {
        const cell = v * this.across + u;
        for (let k = this.starts[cell]; k < this.starts[cell + 1]; k++) {
          const row = this.rows[k];
          const far = (this.x[row] - x) ** 2 + (this.y[row] - y) ** 2;
          if (far <= least) [best, least] = [row, far];
        }
      }
    }
    return best;
  }
}
