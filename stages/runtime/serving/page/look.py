"""The style sheet of the page: light and dark as the reader's system is, one column on a phone."""

STYLE = """
:root{color-scheme:light dark;--back:#fff;--ink:#1b1b1b;--soft:#5c5c5c;--line:#8a8a8a;--card:#f6f6f6;--link:#0050a0;
--bad:#a40e26;--up:#0072b2;--down:#b04a00;--press:#0050a0;--pressed:#fff}
@media (prefers-color-scheme:dark){:root{--back:#15171a;--ink:#e8e8e8;--soft:#a8a8a8;--line:#70767e;--card:#1f2226;
--link:#8cc4ff;--bad:#ff8f8f;--up:#56b4e9;--down:#f0a050;--press:#8cc4ff;--pressed:#10151b}}
*{box-sizing:border-box}
html{scroll-padding:1rem 0 5.5rem}
body{margin:0;background:var(--back);color:var(--ink);font:16px/1.45 system-ui,sans-serif}
header,main{max-width:74rem;margin:0 auto;padding:0 1rem}
h1{font-size:1.5rem;margin:1.1rem 0 .2rem;overflow-wrap:anywhere}h2{font-size:1.15rem;margin:0 0 .5rem}
p{margin:.3rem 0;overflow-wrap:anywhere}a{color:var(--link)}
nav{display:flex;flex-wrap:wrap;gap:.1rem 1rem}nav a{padding:.2rem 0}
header p,.hint,.unit,.small{color:var(--soft);font-size:.875rem}
main{display:grid;grid-template-columns:minmax(0,3fr) minmax(0,2fr);gap:1.5rem;align-items:start;margin-top:1rem}
.fields{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,15rem),1fr));gap:.7rem 1rem}
label{display:block;font-weight:600;overflow-wrap:anywhere}.unit{font-weight:400}
input,select,textarea,button{font:inherit;color:inherit;min-height:2.75rem;border-radius:4px}
input,select,textarea{width:100%;padding:.3rem .5rem;background:var(--back);border:1px solid var(--line)}
textarea{resize:vertical}
[aria-invalid=true]{border:2px solid var(--bad)}
.hint{margin:.15rem 0}.fault{color:var(--bad);font-weight:600;margin:.15rem 0}.fault:empty{display:none}
:focus-visible{outline:3px solid var(--link);outline-offset:2px}
.buttons{display:flex;flex-wrap:wrap;gap:.6rem;margin:1rem 0;padding:.5rem 0;position:sticky;bottom:0;
background:var(--back)}
button{padding:.3rem 1.1rem;border:1px solid var(--line);background:var(--card);cursor:pointer}
button.main{background:var(--press);color:var(--pressed);border-color:var(--press);font-weight:600}
section{background:var(--card);border-radius:6px;padding:1rem}
.answer{position:sticky;top:1rem;max-height:calc(100vh - 2rem);overflow:auto}
.big{font-size:1.6rem;font-weight:700;margin:0}
table{border-collapse:collapse;width:100%;font-size:.875rem;font-variant-numeric:tabular-nums;table-layout:fixed}
caption{text-align:left;color:var(--soft);padding:.5rem 0 .2rem}
th,td{padding:.25rem .3rem;text-align:left;border-top:1px solid color-mix(in srgb,var(--line) 40%,transparent)}
th{font-weight:400;overflow-wrap:anywhere;width:42%}td.number{text-align:right;width:22%;white-space:nowrap}
td.bar{padding-left:.6rem}
.track{position:relative;height:.9rem}.fill{position:absolute;top:0;bottom:0;min-width:1px;background:var(--up)}
.fill.down{background:var(--down)}
#faults{border:2px solid var(--bad);margin-bottom:1rem}#faults h2{color:var(--bad)}
#faults ul{margin:0;padding-left:1.2rem}
[hidden]{display:none!important}
@media (max-width:52rem){main{grid-template-columns:minmax(0,1fr)}.answer{position:static;max-height:none}}
@media (forced-colors:active){.fill{background:CanvasText}}
"""
