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
    this.pixels = new Uint32Array(this.image.data.buffer);
  }

  // Coverage (0 to 256) of a disc for every sub-pixel position.
  mask(radius, opacity) {
    const key = radius + "/" + opacity;
    if (this.masks.has(key)) return this.masks.get(key);
    const reach = Math.ceil(radius + 1);
    const side = 2 * reach + 1;
    const cover = new Uint16Array(PLACES * PLACES * side * side);
    let at = 0;
    for (let down = 0; down < PLACES; down++) {
      for (let right = 0; right < PLACES; right++) {
        for (let y = -reach; y <= reach; y++) {
          for (let x = -reach; x <= reach; x++) {
            const distance = Math.hypot(x - (right + 0.5) / PLACES + 0.5, y - (down + 0.5) / PLACES + 0.5);
            cover[at++] = Math.round(256 * opacity * Math.min(Math.max(radius + 0.5 - distance, 0), 1));
          }
        }
      }
    }
    if (this.masks.size > 200) this.masks.clear();
    const made = { reach, side, cover };
    this.masks.set(key, made);
    return made;
  }

  clear(colour) {
    this.pixels.fill(colour);
  }

  // rows: which points; x, y: their places in pixels; colours: one per point, or one number for all.
  discs(rows, count, x, y, colours, radius, opacity) {
    const { reach, side, cover } = this.mask(radius, opacity);
    const { pixels } = this;
    const { width, height } = this.canvas;
    const single = typeof colours === "number";
    const area = side * side;
    for (let k = 0; k < count; k++) {
      const row = rows[k];
      const left = Math.floor(x[row]);
      const top = Math.floor(y[row]);
      if (left < -reach || top < -reach || left >= width + reach || top >= height + reach) continue;
      const colour = single ? colours : colours[row];
      const red = colour & 255, green = (colour >> 8) & 255, blue = (colour >> 16) & 255;
      const place = Math.floor((y[row] - top) * PLACES) * PLACES + Math.floor((x[row] - left) * PLACES);
      const from = Math.max(-reach, -left), to = Math.min(reach, width - 1 - left);
      for (let dy = Math.max(-reach, -top); dy <= Math.min(reach, height - 1 - top); dy++) {
        let at = (top + dy) * width + left + from;
        let m = place * area + (dy + reach) * side + reach + from;
        for (let dx = from; dx <= to; dx++, at++, m++) {
          const share = cover[m];
          if (!share) continue;
          const below = pixels[at];
          const r = below & 255, g = (below >> 8) & 255, b = (below >> 16) & 255;
          pixels[at] = 0xff000000 | ((b + (((blue - b) * share) >> 8)) << 16)
            | ((g + (((green - g) * share) >> 8)) << 8) | (r + (((red - r) * share) >> 8));
        }
      }
    }
  }

  present() {
    this.context.putImageData(this.image, 0, 0);
  }
}

// Which points lie near a place: cells of the screen, filled by a counting sort.
class Grid {
  constructor(rows, count, x, y, width, height, size) {
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
