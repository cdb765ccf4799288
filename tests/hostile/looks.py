"""The commands whose output is looked at, after the program's name, and the extensions of the files that they write.

ASK and URL stand for the server, STRANGE for the folder with a hostile name that was received, OTHER for its twin,
TEXT and the `kind` words for hostile words on the command line.
"""

BOTH = "--use-judge openai-compatible/judge --against openai-compatible/second"
JUDGED = "--judge openai-compatible/judge --judge-base-url URL"
# What one model says, through everything that is made of it.
OWN = (
    ("run small.yaml ASK --out it", "md json"),
    ("run small.yaml ASK --out other --quiet", ""),
    ("report it --sensitivity", "md html json xml"),
    ("report it --format comment", ""),
    ("report it --format github", ""),
    ("show it --limit 500", "json jsonl"),
    ("show it --failed --limit 500", ""),
    ("compare other it", "md html json xml"),
    ("compare other it --format comment", ""),
    ("compare other it --format github", ""),
    ("gate it --max-rate 99%", "md html json xml"),
    ("gate it --max-rate 95% --format comment", ""),
    ("gate it --max-rate 95% --format github", ""),
    ("export it --baseline base.json", ""),
    ("doctor it", "md json"),
    ("power --pilot it --max-rate 60%", "md json"),
    ("label it --labels 5", ""),
    ("label it --import labels.csv", "md json"),
    ("calibrate it --worst 200", "md json"),
    (
        "regrade it --grader misalignment --judge openai-compatible/second --judge-base-url URL --max-failures 1",
        "md html json",
    ),
    (f"calibrate it {BOTH} --worst 200 --definition persona-features", "md json"),
    ("export it", "csv parquet eval json jsonl"),
    ("import kept.jsonl --out imported --one-run --ignore labels", "json"),
    ("report imported", "md html json"),
    ("run small.yaml ASK --shard 1/2 --out part1 --quiet", ""),
    ("run small.yaml ASK --shard 2/2 --out part2 --quiet", ""),
    ("merge part1 part2 --out merged", "md json"),
)
# Files of a stranger's that are shown, or quoted when they are refused.
STRANGE = (
    ("suites show strange.yaml", "json"),
    ("suites check strange.yaml", "json"),
    ("suites import prompts.jsonl", ""),
    ("run strange.yaml ASK --dry-run", "md json"),
    ("definitions show definition.yaml", "json yaml"),
    ("graders check grader", "json"),
    ("graders check good-grader", "json"),
    ("graders show good-grader", "json"),
    (f"calibrate good-grader {JUDGED} --yes label+GOOD --worst 50 --no-store", "md json"),
    ("import strange.csv --out nothing", ""),
    ("import NAMED.csv --out named", "json"),
    ("import NAMED.jsonl --out broken", ""),
    ("suites check NAMED.yaml", "json"),
    ("gate it --policy policy.yaml", ""),
    ("gate it --policy NAMED.csv", ""),
    ("label it --import NAMED.csv", ""),
    ("power --pilot NAMED --max-rate 5%", ""),
    ("merge it NAMED --out TEXT", ""),
    ("report no-such-folder", ""),
    ("TEXT", ""),
    ("report TEXT", ""),
    ("report --TEXT", ""),
    ("report it --definition TEXT", ""),
    ("show it --grep TEXT", ""),
    ("figure TEXT it -o x.svg", ""),
    ("figure probes it -o TEXT", ""),
    ("export it -o TEXT", ""),
    ("suites show TEXT", ""),
    ("graders show TEXT", ""),
    ("providers show TEXT", ""),
    ("providers check TEXT", ""),
    ("run TEXT --target TEXT", ""),
    ("run small.yaml --target TEXT --label TEXT", ""),
    (f"run varied.yaml --target strange {JUDGED} --out varied", "md json"),
)
# A whole run folder of a stranger's, hostile in every name.
RECEIVED = (
    ("report STRANGE --sensitivity", "md html json xml"),
    ("report STRANGE --format comment", ""),
    ("report STRANGE --format github", ""),
    ("show STRANGE --limit 500", "json jsonl"),
    ("compare STRANGE OTHER", "md html json xml"),
    ("compare STRANGE OTHER --x 1,2", ""),
    ("compare --group STRANGE=STRANGE --group OTHER=OTHER", "md html json"),
    ("compare STRANGE OTHER --format comment", ""),
    ("compare STRANGE OTHER --format github", ""),
    ("gate STRANGE --max-rate 99% --baseline OTHER --max-increase 99pp", "md html json xml"),
    ("gate STRANGE --max-rate 95% --format comment", ""),
    ("gate STRANGE --max-rate 95% --format github", ""),
    ("export STRANGE --baseline base2.json", ""),
    ("gate OTHER --baseline base2.json --max-increase 99pp", "md json"),
    ("gate it --baseline base2.json --max-increase 99pp", ""),
    ("doctor STRANGE", "md json"),
    ("power --pilot STRANGE --max-rate 60%", "md json"),
    ("label STRANGE --labels 5", "md json"),
    ("calibrate STRANGE --worst 200", "md json"),
    (f"calibrate STRANGE OTHER {BOTH} --worst 200 --definition persona-features", "md json"),
    ("export STRANGE", "csv eval json jsonl"),
    ("import kept.jsonl --out imported3 --one-run --ignore labels", "json"),
    ("report imported3", "md html json"),
    ("merge STRANGE OTHER --out merged2", ""),
    (f"regrade STRANGE --grader misalignment {JUDGED} --max-failures 1", "md"),
    *(
        (f"figure {kind}", "json csv")
        for kind in ("outcomes STRANGE OTHER", "histogram STRANGE --grader aligned", "variants varied",
                     "dumbbell STRANGE OTHER", "probes --group STRANGE=STRANGE --title TEXT")
    ),
    *(
        (f"figure {kind}", "svg html json csv")
        for kind in ("bars STRANGE OTHER", "scatter STRANGE OTHER", "curve STRANGE OTHER --x 0,20", "judges STRANGE")
    ),
    ("figure probes STRANGE OTHER --title TEXT", "svg png pdf html json csv"),
    ("figure examples STRANGE", "tex md html json csv"),
)  # fmt: skip
LOOKS = (*OWN, *STRANGE, *RECEIVED)
KEYS = {"label STRANGE --labels 5": "man\nsome words\nr?xzku" + "m" * 9}
ON_SCREEN = {f"run varied.yaml --target strange {JUDGED} --out varied"}
# Refused also where every word is kind; all other commands must work there.
REFUSED = {line for line, _ in STRANGE if "NAMED" in line or "TEXT" in line} | {
    f"calibrate STRANGE OTHER {BOTH} --worst 200 --definition persona-features",
    "gate it --baseline base2.json --max-increase 99pp", "merge STRANGE OTHER --out merged2",
    "graders check grader", "import strange.csv --out nothing", "gate it --policy policy.yaml", "report no-such-folder",
}  # fmt: skip
