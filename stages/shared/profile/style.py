"""The style sheet of the profile page. Sides have colours of Okabe and Ito (2008), told apart by the colour-blind."""

STYLE = """
:root{--back:#fff;--ink:#1b1b1b;--soft:#5c5c5c;--line:#d8d8d8;--card:#fafafa;--link:#0050a0;--warn:#8a3b00;
--train:#0072b2;--validation:#d98a00;--test:#009e73;--gap:#8c8c8c;--tint:26%}
@media (prefers-color-scheme:dark){:root{--back:#15171a;--ink:#e8e8e8;--soft:#a8a8a8;--line:#3b3f45;--card:#1c1f23;
--link:#8cc4ff;--warn:#ffb066;--train:#56b4e9;--validation:#e69f00;--test:#2fc79a;--gap:#9a9a9a;--tint:34%}}
*{box-sizing:border-box}
html{scroll-padding-top:.5rem}
body{margin:0;background:var(--back);color:var(--ink);font:16px/1.45 system-ui,sans-serif}
header,main{max-width:62rem;margin:0 auto;padding:0 1rem}
h1{font-size:1.6rem;margin:1.2rem 0 .4rem;overflow-wrap:anywhere}h2{font-size:1.2rem;margin:1.6rem 0 .5rem}
h3{font-size:1.1rem;margin:0;overflow-wrap:anywhere}
a{color:var(--link)}a:focus-visible,.scroll:focus-visible{outline:2px solid var(--link);outline-offset:2px}
p{margin:.4rem 0;overflow-wrap:anywhere}small,.facts,.up{color:var(--soft);font-size:.875rem}
.up{text-align:right;margin:0}
.index{columns:15rem;column-gap:1.5rem;margin:0;padding-left:2.2rem;font-size:.9375rem}
.index li{break-inside:avoid;overflow-wrap:anywhere;padding:.1rem 0}
.mark,.warning strong{color:var(--warn);border:1px solid;border-radius:3px;padding:0 .3em;font-size:.8125rem;
font-weight:600}
.warning{color:var(--warn)}
article{background:var(--card);border:1px solid var(--line);border-radius:6px;padding:.8rem 1rem;margin:0 0 1rem}
svg{display:block;width:100%;max-width:40rem;height:auto;margin:.5rem 0}
svg text{fill:var(--soft);font:12px system-ui,sans-serif}
path.train{fill:var(--train)}path.validation{fill:var(--validation)}path.test{fill:var(--test)}path.gap{fill:var(--gap)}
path.axis{stroke:var(--soft);fill:none}
.scroll{position:relative;overflow-x:auto;margin:.5rem 0}
table{border-collapse:collapse;font-size:.875rem;font-variant-numeric:tabular-nums}
caption.unseen{position:absolute;width:1px;height:1px;padding:0;overflow:hidden;clip-path:inset(50%)}
caption{text-align:left;color:var(--soft);padding:.2rem 0}
th,td{padding:.2rem .42rem;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap}
th:first-child{text-align:left;padding-left:0}th{font-weight:600}
.values th[scope=row]{font-weight:400;max-width:16rem;white-space:normal;overflow-wrap:anywhere}
.values td{min-width:7rem}
.key{display:inline-block;width:.75em;height:.75em;margin-right:.4em;border-radius:2px;background:var(--c,none)}
.train{--c:var(--train)}.validation{--c:var(--validation)}.test{--c:var(--test)}.gap{--c:var(--gap)}
td[style]{background:linear-gradient(to right,
color-mix(in srgb,var(--c) var(--tint),transparent) var(--s),transparent 0)}
@media (max-width:40rem){.values td{min-width:4.6rem}th,td{padding:.2rem .35rem}svg text{font-size:17px}}
@media print{article{break-inside:avoid}.up{display:none}}
"""
