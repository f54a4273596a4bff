"""The style sheet and the only script of the report: both stand in the page, which asks the network for nothing."""

from stages.shared.profile.style import STYLE as BASE

STYLE = (
    BASE
    + """
header,main{max-width:74rem}
:root{--good:#116329;--bad:#a40e26;--s0:var(--train);--s1:#b04a00;--s2:#6b6b6b}
@media (prefers-color-scheme:dark){header,main{max-width:74rem}
:root{--good:#5fd37e;--bad:#ff8f8f;--s1:#f0b429;--s2:#a9a9a9}}
.badge{border:1px solid;border-radius:3px;padding:0 .35em;font-size:.875rem;font-weight:600;white-space:nowrap}
.good{color:var(--good)}.bad{color:var(--bad)}.open{color:var(--soft)}
.lead{font-size:1.15rem}
nav ul{display:flex;flex-wrap:wrap;gap:.2rem 1rem;list-style:none;margin:.4rem 0;padding:0}
nav li{padding:.15rem 0}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,22rem),1fr));gap:1rem}
figure{margin:0 0 .8rem}figcaption{font-weight:600;font-size:.9375rem}
.legend{font-weight:400;color:var(--soft);font-size:.875rem}
path.grid{stroke:var(--line);fill:none}path.reference{stroke:var(--soft);stroke-dasharray:4 4;fill:none}
path.interval{stroke:var(--ink);stroke-width:1.5;fill:none}
.s0{--c:var(--s0)}.s1{--c:var(--s1)}.s2{--c:var(--s2)}
path.line{stroke:var(--c);stroke-width:2;fill:none}circle,rect{fill:var(--c)}.dots{opacity:.55}
.sorts caption{font-weight:600;color:var(--ink)}
.sorts th button{font:inherit;font-weight:600;color:inherit;background:none;border:0;padding:.2rem 0;cursor:pointer}
.sorts th button:focus-visible,summary:focus-visible{outline:2px solid var(--link);outline-offset:2px}
.sorts th[aria-sort=ascending] button::after{content:" ▲"}
.sorts th[aria-sort=descending] button::after{content:" ▼"}
.sorts tbody th{font-weight:400}
td.shade{background:color-mix(in srgb,var(--s0) var(--s),transparent)}
details{margin:.4rem 0}summary{cursor:pointer;color:var(--link)}
td small{color:var(--soft)}
th.text{text-align:left}td.text{white-space:normal;text-align:left;min-width:14rem;overflow-wrap:anywhere}
"""
)

SCRIPT = """
for (const table of document.querySelectorAll("table.sorts")) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  heads.forEach((head, place) => head.firstElementChild.addEventListener("click", () => {
    const up = head.getAttribute("aria-sort") !== "ascending";
    heads.forEach(other => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const value = row => row.cells[place].dataset.v ?? row.cells[place].textContent;
    const order = (a, b) => {
      const [x, y] = [value(a), value(b)], [m, n] = [Number(x), Number(y)];
      return Number.isNaN(m) || Number.isNaN(n) ? x.localeCompare(y) : m - n;
    };
    body.append(...[...body.rows].sort((a, b) => up ? order(a, b) : order(b, a)));
  }));
}
"""
