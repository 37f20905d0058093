"""How the page of a report looks, on a light and on a dark screen."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light dark; --bg: #fff; --card: #f6f7f9; --text: #1c2128; --soft: #5b6572; --rule: #d9dee5;
  --line: #2563c9; --edge: #9aa5b3; --busy: #e8862a; --blocked: #c8323c; --starved: #8fa9c4; --good: #1c7a43; }
@media (prefers-color-scheme: dark) { :root { --bg: #14171c; --card: #1e232b; --text: #e6e9ee; --soft: #9ba6b4;
  --rule: #343c48; --line: #6ea8ff; --edge: #64707f; --busy: #e8862a; --blocked: #f0606a; --starved: #54708f;
  --good: #4cc27f; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--bg); color: var(--text); font: 15px/1.5 system-ui, "Segoe UI", Roboto, sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 24px 20px 60px; }
header { display: flex; flex-wrap: wrap; align-items: baseline; gap: 12px; }
h1 { font-size: 22px; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 16px; margin: 32px 0 8px; }
.state { padding: 1px 10px; border-radius: 10px; border: 1px solid; font-size: 13px; font-weight: 600; }
.good { color: var(--good); } .bad { color: var(--blocked); }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(152px, 1fr)); gap: 10px; margin: 18px 0; }
.figures div { background: var(--card); border: 1px solid var(--rule); border-radius: 8px; padding: 8px 12px; }
.figures b { display: block; font-size: 18px; white-space: nowrap; font-variant-numeric: tabular-nums; }
.figures span, figcaption span { color: var(--soft); font-size: 12.5px; }
.verdict { background: var(--card); border-left: 4px solid var(--busy); padding: 10px 14px; margin: 0; }
.verdict { overflow-wrap: anywhere; } .verdict b { margin-right: 6px; }
.error { border-left: 4px solid var(--blocked); padding: 2px 14px 10px; margin-top: 14px; background: var(--card); }
.error h2 { margin: 8px 0; color: var(--blocked); }
pre { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; font: 13px/1.5 ui-monospace, Consolas, monospace; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(440px, 100%), 1fr)); gap: 14px; }
figure { margin: 0; padding: 10px 12px 6px; background: var(--card); border: 1px solid var(--rule); }
figure { border-radius: 8px; }
figcaption { display: flex; flex-wrap: wrap; gap: 0 10px; align-items: baseline; margin-bottom: 4px; }
figure svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--text); font-size: 12px; font-variant-numeric: tabular-nums; }
svg .tick, svg .empty, svg .small { fill: var(--soft); }
svg .small { font-size: 12px; } svg .up { text-anchor: end; } svg .empty { text-anchor: middle; }
svg .name { font-size: 13px; font-weight: 600; }
svg .label { font-size: 11.5px; fill: var(--soft); paint-order: stroke; stroke: var(--bg); stroke-width: 4px; }
.grid { stroke: var(--rule); } .line { fill: none; stroke: var(--line); stroke-width: 1.75; stroke-linejoin: round; }
.area { fill: var(--line); fill-opacity: .13; } .mark { fill: var(--line); }
.box { fill: var(--card); stroke: var(--edge); } .heat { fill: var(--busy); }
.edge { fill: none; stroke: var(--edge); stroke-width: 1.75; } .full { fill: none; stroke: var(--blocked); }
.head { fill: var(--edge); } .fullhead { fill: var(--blocked); }
rect.rest { fill: var(--rule); } rect.busy { fill: var(--busy); } rect.blocked { fill: var(--blocked); }
rect.starved { fill: var(--starved); }
.keys { display: flex; flex-wrap: wrap; gap: 2px 18px; margin: 0 0 10px; color: var(--soft); font-size: 13px; }
.keys i { display: inline-block; width: 11px; height: 11px; border-radius: 3px; margin-right: 6px; }
i.busy { background: var(--busy); } i.blocked { background: var(--blocked); } i.starved { background: var(--starved); }
.wide { overflow-x: auto; margin-bottom: 10px; } .plan { display: block; max-width: 100%; height: auto; }
table { border-collapse: collapse; width: 100%; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { padding: 5px 8px; border-bottom: 1px solid var(--rule); text-align: right; white-space: nowrap; }
th:first-child { text-align: left; white-space: normal; min-width: 200px; overflow-wrap: anywhere; font-weight: 600; }
thead th { color: var(--soft); font-weight: 500; vertical-align: bottom; }
@media print { main { max-width: none; } figure, tr { break-inside: avoid; } }
"""
