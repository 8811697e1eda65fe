"""make soak: kill jobs at random times, damage their records, and count what becomes of it.

Every trial starts a job in a fresh folder and kills it at a random time, again and again, until it comes through. After
each kill every declared output that exists must be whole, and in the end all of them must be, byte for byte, those of a
run that nothing disturbed. Prints a table; exit code 1 where a single byte was wrong.
"""

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.jobs import Job, load_everything, prepare, wait

SIGNALS = (signal.SIGKILL,) * 8 + (signal.SIGTERM, signal.SIGUSR1)
DAMAGE = 0.1  # share of kills after which a record of the progress is damaged as well
PATIENCE = 60  # seconds after which a job counts as stuck
KINDS = ("kills", "stops", "damaged records", "trials", "survived", "silent corruptions", "refused", "stuck")


class Trials:
    """What happened to one job."""

    def __init__(self, job: Job, template: Path) -> None:
        self.job, self.template = job, template
        started = time.monotonic()
        code = job.run(template)
        self.seconds = time.monotonic() - started
        if code:
            sys.exit(f"{job.name}: exit code {code} without any kill\n{(template / 'job.out').read_text()}")
        self.expected = job.results(template)
        job.discard(template)
        self.counts: Counter[str] = Counter()
        self.lost = 0.0

    def trial(self, folder: Path, rng: random.Random, end: float) -> None:
        """Kill the job until it comes through, or the time is over."""
        shutil.copytree(self.template, folder)
        spent, kills = 0.0, 0
        while True:
            last = time.monotonic() > end or kills >= 60
            started = time.monotonic()
            code = self._attempt(folder, rng, PATIENCE if last else rng.uniform(0, 1.1 * self.seconds))
            spent += time.monotonic() - started
            if code == 0:
                break
            if code is None or code not in (-signal.SIGKILL, -signal.SIGTERM, -signal.SIGUSR1, 75):
                self.counts["stuck" if code is None else "refused"] += 1
                return
            kills += 1
            self.counts["kills" if code == -signal.SIGKILL else "stops"] += 1
            self._check(folder, whole=False)
            if rng.random() < 0.5:
                self.job.discard(folder)
            if rng.random() < DAMAGE:
                self._damage(folder, rng)
        self.counts["trials"] += 1
        self.lost += max(0.0, spent - self.seconds)
        self.counts["survived"] += self._check(folder, whole=True)

    def _attempt(self, folder: Path, rng: random.Random, seconds: float) -> int | None:
        """Run the job and kill it after some seconds; return its exit code, None where it did not even end then."""
        process = self.job.start(folder)
        process.join(seconds)
        if process.exitcode is not None:
            return process.exitcode
        os.kill(process.pid, rng.choice(SIGNALS))
        process.join(PATIENCE)
        code = process.exitcode
        if code is None:
            process.kill()
            wait(process)
        return code

    def _check(self, folder: Path, whole: bool) -> bool:
        """Compare what is there with what it should be; in the end all of it has to be there."""
        found = self.job.results(folder)
        wrong = [name for name, content in found.items() if content != self.expected.get(name)]
        wrong += [name for name in self.expected if whole and name not in found]
        self.counts["silent corruptions"] += bool(wrong)
        if wrong:
            print(f"{self.job.name}: {', '.join(wrong)} in {folder}", file=sys.stderr)
        return not wrong

    def _damage(self, folder: Path, rng: random.Random) -> None:
        """Flip a bit of one record, or cut it off."""
        records = sorted(file for file in folder.rglob(".checkpoints/*/*") if file.is_file())
        if not records:
            return
        record = rng.choice(records)
        content = bytearray(record.read_bytes())
        if rng.random() < 0.5 and content:
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        else:
            del content[rng.choice([0, 1, len(content) // 2, len(content) - 1]) :]
        record.write_bytes(content)
        self.counts["damaged records"] += 1


def main() -> int:
    """Run trials of all jobs in turn until enough kills were made or the time is over."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=1000, help="random kill points, at least")
    parser.add_argument("--seconds", type=float, default=1500, help="time after which no job is killed any more")
    parser.add_argument("--seed", type=int, default=0, help="of the random times")
    options = parser.parse_args()
    rng, end = random.Random(options.seed), time.monotonic() + options.seconds
    load_everything()
    with tempfile.TemporaryDirectory(prefix="soak") as scratch:
        template = Path(scratch) / "template"
        all_trials = [Trials(job, template) for job in prepare(template)]
        number, done = 0, 0
        while done < options.kills and time.monotonic() < end:
            for trials in all_trials:
                number += 1
                trials.trial(Path(scratch) / str(number), rng, end)
                shutil.rmtree(Path(scratch) / str(number))
            done = sum(trials.counts["kills"] + trials.counts["stops"] for trials in all_trials)
            print(f"{done} kills, {number} trials", file=sys.stderr, flush=True)
    report(all_trials)
    bad = sum(trials.counts[kind] for trials in all_trials for kind in ("silent corruptions", "refused", "stuck"))
    return 1 if bad or done < options.kills else 0


def report(all_trials: list[Trials]) -> None:
    """Print a table of what happened."""
    print(f"| job | {' | '.join(KINDS)} | seconds undisturbed | seconds lost per kill |")
    print("| --- |" + " ---: |" * (len(KINDS) + 2))
    total: Counter[str] = Counter()
    for trials in all_trials:
        total += trials.counts
        kills = trials.counts["kills"] + trials.counts["stops"]
        cells = [str(trials.counts[kind]) for kind in KINDS]
        print(f"| {trials.job.name} | {' | '.join(cells)} | {trials.seconds:.2f} | {trials.lost / max(kills, 1):.2f} |")
    print(f"| all | {' | '.join(str(total[kind]) for kind in KINDS)} | | |")


if __name__ == "__main__":
    sys.exit(main())
