//! What the tests want to know of a PromQL query.

use promql_parser::{
    label::{MatchOp, Matcher},
    parser::{Expr, parse},
};

/// The range that stands for Grafana's variable while a query is parsed; odd, so that nobody has
/// written it by hand.
const RATE_INTERVAL: &str = "7919s";

/// A selector of a query and what stands around it.
pub struct Selector {
    pub name: String,
    pub matchers: Vec<Matcher>,
    /// Of a range selector.
    pub range_millis: Option<u128>,
    /// The function it is directly the argument of.
    pub function: Option<&'static str>,
}

impl Selector {
    /// Whether it has this regular-expression matcher.
    pub fn matches_regex(&self, label: &str, pattern: &str) -> bool {
        self.matchers.iter().any(|matcher| {
            matcher.name == label
                && matcher.value == pattern
                && matches!(matcher.op, MatchOp::Re(_))
        })
    }

    pub fn ranges_over_rate_interval(&self) -> bool {
        let seconds = RATE_INTERVAL.trim_end_matches('s').parse::<u128>();
        self.range_millis.is_some() && self.range_millis == seconds.ok().map(|s| s * 1000)
    }
}

/// All selectors of a query, or why it is none.
pub fn selectors(query: &str) -> Result<Vec<Selector>, String> {
    let query = query.replace("$__rate_interval", RATE_INTERVAL);
    let mut found = Vec::new();
    walk(&parse(&query)?, None, &mut found);
    Ok(found)
}

fn walk(expr: &Expr, function: Option<&'static str>, found: &mut Vec<Selector>) {
    match expr {
        Expr::Aggregate(aggregate) => {
            walk(&aggregate.expr, None, found);
            if let Some(param) = &aggregate.param {
                walk(param, None, found);
            }
        }
        Expr::Unary(unary) => walk(&unary.expr, None, found),
        Expr::Binary(binary) => {
            walk(&binary.lhs, None, found);
            walk(&binary.rhs, None, found);
        }
        Expr::Paren(paren) => walk(&paren.expr, None, found),
        Expr::Subquery(subquery) => walk(&subquery.expr, None, found),
        Expr::Call(call) => {
            for argument in &call.args.args {
                walk(argument, Some(call.func.name), found);
            }
        }
        Expr::VectorSelector(vector) => found.push(Selector {
            name: vector.name.clone().unwrap_or_default(),
            matchers: vector.matchers.matchers.clone(),
            range_millis: None,
            function,
        }),
        Expr::MatrixSelector(matrix) => found.push(Selector {
            name: matrix.vs.name.clone().unwrap_or_default(),
            matchers: matrix.vs.matchers.matchers.clone(),
            range_millis: Some(matrix.range.as_millis()),
            function,
        }),
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => {}
    }
}
