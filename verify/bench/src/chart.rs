//! A chart of horizontal bars as SVG, readable on light and dark ground. Knows nothing of what the bars mean.

use std::fmt::Write;

pub struct Bar {
    pub label: String,
    /// 1 is the best peer.
    pub value: f64,
    pub ours: bool,
    /// What stands beside the ratio.
    pub number: String,
}

/// The bars of a row.
pub struct Group {
    pub title: String,
    pub held: bool,
    pub bars: Vec<Bar>,
    /// Where ours may end.
    pub bound: Option<f64>,
}

/// Bars that would be longer end here, with a notch: a far peer must not press the near ones together.
const LONGEST: f64 = 4.0;

const WIDTH: f64 = 900.0;
/// Where bars begin; names stand to the left.
const LEFT: f64 = 250.0;
/// Left of the right edge, for the numbers: in columns, where no mark crosses them.
const RIGHT: f64 = 196.0;
/// Where the ratios end; medians follow.
const RATIOS: f64 = WIDTH - RIGHT + 44.0;
const TOP: f64 = 64.0;
const TITLE: f64 = 24.0;
const BAR: f64 = 16.0;
const GAP: f64 = 14.0;

/// No ground is painted, so the page's own shows; the ink follows the reader's preference.
const STYLE: &str = "\
text { font: 12px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600; font-size: 13px }
.small { fill: #59636e }
.ours { fill: #0969da }
.peer { fill: #afb8c1 }
.bound { stroke: #cf222e; stroke-width: 2 }
.one { stroke: #59636e; stroke-dasharray: 2 3 }
.notch { stroke: #ffffff; stroke-width: 3 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .small { fill: #9198a1 }
  .ours { fill: #4493f8 }
  .peer { fill: #656c76 }
  .bound { stroke: #ff7b72 }
  .one { stroke: #9198a1 }
  .notch { stroke: #0d1117 }
}";

fn x(value: f64) -> f64 {
    LEFT + value.min(LONGEST) / LONGEST * (WIDTH - LEFT - RIGHT)
}

fn height(group: &Group) -> f64 {
    TITLE + group.bars.len() as f64 * BAR + GAP
}

pub fn svg(groups: Vec<Group>) -> String {
    let height = TOP + groups.iter().map(height).sum::<f64>();
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\n\
         <title>polyexec and its peers; the best peer is 1, lower is better</title>\n<style>\n{STYLE}\n</style>\n\
         <text class=\"title\" x=\"8\" y=\"22\">Medians; the best peer of each row is 1, lower is better</text>\n"
    );
    legend(&mut out);
    let mut top = TOP;
    for group in &groups {
        draw(&mut out, group, top);
        top += self::height(group);
    }
    out.push_str("</svg>\n");
    out
}

fn legend(out: &mut String) {
    let y = 44.0;
    let swatch = |out: &mut String, at: f64, class: &str, text: &str| {
        let _ = writeln!(out, "<rect class=\"{class}\" x=\"{at}\" y=\"{}\" width=\"12\" height=\"10\"/>", y - 9.0);
        let _ = writeln!(out, "<text x=\"{}\" y=\"{y}\">{text}</text>", at + 18.0);
    };
    swatch(out, 8.0, "ours", "polyexec");
    swatch(out, 98.0, "peer", "peers");
    let line = |out: &mut String, at: f64, class: &str, text: &str| {
        let _ =
            writeln!(out, "<line class=\"{class}\" x1=\"{at}\" x2=\"{at}\" y1=\"{}\" y2=\"{}\"/>", y - 11.0, y + 3.0);
        let _ = writeln!(out, "<text x=\"{}\" y=\"{y}\">{text}</text>", at + 8.0);
    };
    line(out, 172.0, "bound", "bound of polyexec");
    line(out, 310.0, "one", "best peer");
}

fn draw(out: &mut String, group: &Group, top: f64) {
    let held = if group.held { "bound held" } else { "bound not held" };
    let _ = writeln!(
        out,
        "<text x=\"8\" y=\"{}\"><tspan class=\"title\">{}</tspan> <tspan class=\"small\" dx=\"6\">{held}</tspan></text>",
        top + 14.0,
        escaped(&group.title)
    );
    let (first, last) = (top + TITLE, top + TITLE + group.bars.len() as f64 * BAR);
    for (bar, y) in group.bars.iter().zip((0..).map(|index| first + f64::from(index) * BAR)) {
        let class = if bar.ours { "ours" } else { "peer" };
        let (end, text_y) = (x(bar.value), y + 11.0);
        let _ = writeln!(
            out,
            "<text x=\"{}\" y=\"{text_y}\" text-anchor=\"end\">{}</text>",
            LEFT - 8.0,
            escaped(&bar.label)
        );
        let _ = writeln!(
            out,
            "<rect class=\"{class}\" x=\"{LEFT}\" y=\"{y}\" width=\"{:.1}\" height=\"{}\"/>",
            end - LEFT,
            BAR - 3.0
        );
        if bar.value > LONGEST {
            let _ = writeln!(
                out,
                "<line class=\"notch\" x1=\"{}\" x2=\"{}\" y1=\"{}\" y2=\"{y}\"/>",
                end - 14.0,
                end - 8.0,
                y + BAR - 3.0
            );
        }
        let (ratio, number) = (format!("{:.2}", bar.value), escaped(&bar.number));
        let _ = writeln!(out, "<text x=\"{RATIOS}\" y=\"{text_y}\" text-anchor=\"end\">{ratio}</text>");
        let _ = writeln!(out, "<text class=\"small\" x=\"{}\" y=\"{text_y}\">{number}</text>", RATIOS + 8.0);
    }
    let mut mark = |class: &str, at: f64| {
        let at = x(at);
        let _ = writeln!(
            out,
            "<line class=\"{class}\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{}\" y2=\"{}\"/>",
            first - 3.0,
            last
        );
    };
    mark("one", 1.0);
    if let Some(bound) = group.bound {
        mark("bound", bound);
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
