import sys, traceback, tempfile, os, re, importlib
from pathlib import Path
sys.path.insert(0, "/work/main/tests/malformed")
import torch; torch.set_num_threads(1)
from malformed_case import make_world
from netwright.core.errors import NetwrightError
from netwright.core.messages import set_language
from netwright.training import loop
import netwright.experiment.run as R
def nope(s): raise AssertionError("a step would be taken")
R.loop.train = nope
import logging; logging.disable(logging.CRITICAL)
set_language("en")
from malformed_yaml import MODULES
md = Path(tempfile.mkdtemp()); sys.path.insert(0, str(md))
for k, v in MODULES.items(): (md/k).write_text(v)
world = make_world(Path(tempfile.mkdtemp()))
mods = sys.argv[1].split(","); pat = sys.argv[2] if len(sys.argv) > 2 else ""
bad = n = 0
for m in mods:
    for case in importlib.import_module(m).CASES:
        if pat and pat not in case.name: continue
        n += 1
        f = Path(tempfile.mkdtemp()); os.chdir(f)
        for e in world.iterdir(): (f/e.name).symlink_to(e)
        why = ""
        try:
            call = case.make(f); before = sorted(str(p) for p in f.rglob("*"))
            call(); why = "NO ERROR"; msg = ""
        except NetwrightError as e:
            msg = str(e)
            if e.exit_code != case.code: why = f"CODE {e.exit_code} not {case.code}"
            if not re.search(case.pattern, msg): why += f" NOMATCH {case.pattern}"
            if any(len(l) > 400 for l in msg.splitlines()): why += " LONG"
        except BaseException as e:
            msg = "".join(traceback.format_exception(e)[-3:]); why = "RAW"
        after = sorted(str(p) for p in f.rglob("*"))
        if after != before: why += " LEFT " + str([x for x in after if x not in before][:3])
        if why or "-v" in sys.argv:
            bad += bool(why); print(f"--- {case.name}\n    {why}\n    {msg}")
print(n, "cases", bad, "bad")
