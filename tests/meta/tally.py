#!/usr/bin/env python3
"""scripts/tally counts what cmocka prints, and what it could not print any more, as it should."""
import json
import os
import subprocess
import sys
import tempfile

TALLY = os.path.join(os.environ["SSFD_SOURCE"], "scripts", "tally")


def announced(n, *cases, group=""):
    return f"[==========] {group}Running {n} test(s).\n" + "".join(
        f"[ RUN      ] {name}\n" + (f"{mark} {name}\n" if mark else "") for mark, name in cases)


OK, FAILED, SKIPPED = "[       OK ]", "[  FAILED  ]", "[  SKIPPED ]"
SUMMARY = "[  FAILED  ] 1 test(s), listed below:\n[  FAILED  ] b\n\n 1 FAILED TEST(S)\n"
# what it is, entries of the log (result, stdout, stderr), the last line, the exit status
TABLE = [
    ("all well", [("OK", announced(2, (OK, "a"), (OK, "b")), "")], "2 passed, 0 failed", 0),
    ("one of two fails and is named again in the summary",
     [("FAIL", announced(2, (OK, "a"), (FAILED, "b")), SUMMARY)], "1 passed, 1 failed", 1),
    ("cmocka 1.1.7 names the group",
     [("FAIL", announced(2, (OK, "a"), (FAILED, "b"), group="tests: "),
       SUMMARY.replace("] 1", "] tests: 1"))], "1 passed, 1 failed", 1),
    ("a skipped case", [("OK", announced(2, (OK, "a"), (SKIPPED, "b")),
                         "[  SKIPPED ] 1 test(s), listed below:\n[  SKIPPED ] b\n")],
     "1 passed, 0 failed, 1 skipped", 0),
    ("a crash in the second of four", [("FAIL", announced(4, (OK, "a"), (None, "b")), "")],
     "1 passed, 3 failed", 1),
    ("a crash before anything was printed", [("FAIL", "", "")], "0 passed, 1 failed", 1),
    ("a timeout", [("TIMEOUT", announced(1, (None, "a")), "")], "0 passed, 1 failed", 1),
    ("a leak found after the last case", [("FAIL", announced(1, (OK, "a")), "leak")],
     "1 passed, 1 failed", 1),
    ("two groups in one executable",
     [("OK", announced(1, (OK, "a")) + announced(1, (OK, "b")), "")], "2 passed, 0 failed", 0),
    ("a script", [("OK", "12 headers\n", "")], "1 passed, 0 failed", 0),
    ("a failing script among others", [("OK", "", ""), ("FAIL", "", "x")], "1 passed, 1 failed", 1),
    ("only skipped", [("SKIP", "", "")], "0 passed, 1 failed, 1 skipped", 1),
    ("an empty log", [], "0 passed, 1 failed", 1),
    ("no log", None, "0 passed, 1 failed", 1),
]


def main():
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        for what, entries, last, status in TABLE:
            path = os.path.join(folder, "log.json")
            if entries is None:
                os.remove(path)
            else:
                with open(path, "w", encoding="utf-8") as log:
                    for result, out, err in entries:
                        log.write(json.dumps({"name": what, "result": result, "stdout": out,
                                              "stderr": err}) + "\n")
            run = subprocess.run([sys.executable, TALLY, path], capture_output=True, text=True,
                                 check=False)
            got = run.stdout.splitlines()[-1:], run.returncode
            if got != ([last], status):
                print(f"{what}: {got} instead of {([last], status)}", file=sys.stderr)
                bad = 1
    return bad


sys.exit(main())
