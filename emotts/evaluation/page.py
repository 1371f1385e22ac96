"""The frame of report.html: style and skeleton, with nothing to load from elsewhere."""

STYLE = """
:root { color-scheme: light dark; --ground: #fbfaf8; --card: #ffffff; --ink: #20282e; --faint: #66727b; --line: #e3e0da;
  --a: #c8432b; --v: #2f6f8f; --d: #6d4fa3; --good: #2c7a4b; --bad: #b3361f; }
@media (prefers-color-scheme: dark) { :root { --ground: #14181b; --card: #1c2226; --ink: #e8ebec; --faint: #9aa6ae;
  --line: #2f383e; --a: #ff8a6b; --v: #7cc1e4; --d: #b99cf0; --good: #6fcf97; --bad: #ff8a73; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1120px; padding: 2rem 1rem 4rem; background: var(--ground); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0; } h2 { font-size: 1.2rem; margin: 2.6rem 0 .2rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 .3rem; }
p { margin: .2rem 0 1rem; color: var(--faint); max-width: 46rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 150px), 1fr)); gap: .7rem; }
.tile, figure { margin: 0; padding: .7rem .85rem; background: var(--card); border: 1px solid var(--line);
  border-radius: 10px; min-width: 0; }
.tile b { display: block; font-size: 1.35rem; font-variant-numeric: tabular-nums; } .tile b.none { font-size: 1rem; }
.tile span, figcaption span, .note { color: var(--faint); font-size: .85rem; }
.good { color: var(--good); } .bad { color: var(--bad); }
.plots { display: grid; gap: .8rem; } @media (min-width: 640px) { .plots { grid-template-columns: repeat(3, 1fr); } }
.wide { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 380px), 1fr)); gap: .8rem; }
.clips { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 270px), 1fr)); gap: .8rem; }
figcaption { overflow-wrap: anywhere; } figcaption b { margin-right: .4rem; }
audio { display: block; width: 100%; height: 36px; margin-top: .4rem; }
svg { display: block; width: 100%; height: auto; margin-top: .3rem; }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 10px; background: var(--card); }
table { border-collapse: collapse; width: 100%; font-size: .88rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .35rem .6rem; border-top: 1px solid var(--line); vertical-align: top; }
thead th { border-top: 0; color: var(--faint); font-weight: 600; white-space: nowrap; }
td.n { white-space: nowrap; } td small { color: var(--faint); } tbody th { font-weight: 500; min-width: 9rem; }
tr.group th { font-weight: 700; padding-top: .9rem; } td.none { color: var(--faint); }
table.leak td, table.leak thead th { text-align: center; padding: .35rem .2rem; } table.leak tbody th { min-width: 0; }
.grid { stroke: var(--line); stroke-width: 1; } .ideal { stroke: var(--faint); stroke-dasharray: 4 4; }
.fit { stroke: var(--ink); stroke-width: 1.5; }
circle { fill: var(--v); fill-opacity: .55; } circle.numeric { fill: var(--a); }
text { fill: var(--ink); font: 10px system-ui, sans-serif; } text.name { fill: var(--faint); }
text.mid { text-anchor: middle; } text.end { text-anchor: end; }
polyline { fill: none; stroke-width: 1.5; } polyline.swept { stroke-width: 3; }
polyline.a { stroke: var(--a); } polyline.v { stroke: var(--v); } polyline.d { stroke: var(--d); }
.band { fill-opacity: .16; } .band.a { fill: var(--a); } .band.v { fill: var(--v); } .band.d { fill: var(--d); }
.cell { fill: var(--a); } .cell.hit { fill: var(--v); }
.count { text-anchor: middle; } .count.strong { fill: var(--card); font-weight: 700; }
.key i { display: inline-block; width: .8em; height: .8em; border-radius: 50%; margin: 0 .25em 0 .8em; }
"""

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; media-src data:; img-src data:">
<title>%TITLE%</title>
<style>%STYLE%</style></head><body>
%BODY%
</body></html>
"""


def page(title: str, body: str) -> str:
    """Return a whole page; title and body are markup, escaped already."""
    return PAGE.replace("%STYLE%", STYLE).replace("%TITLE%", title).replace("%BODY%", body)
