//! The conditions in a source file, as far as they are not a guard's.

use std::collections::BTreeSet;

use quote::ToTokens;
use syn::{
    Expr, ExprCall, ExprMethodCall, Local, Pat,
    visit::{self, Visit},
};

/// Methods whose closure is a condition.
const ASKING: [&str; 15] = [
    "all",
    "any",
    "filter",
    "filter_map",
    "find",
    "find_map",
    "is_none_or",
    "is_some_and",
    "map_or",
    "max_by_key",
    "min_by_key",
    "position",
    "retain",
    "skip_while",
    "take_while",
];
/// Methods that are a choice by themselves.
const CHOOSING: [&str; 9] = [
    "checked_sub",
    "clamp",
    "max",
    "min",
    "saturating_sub",
    "then",
    "then_some",
    "unwrap_or",
    "unwrap_or_default",
];

/// The bare conditions of a file: each as `function: condition`.
pub(crate) fn bare(source: &str) -> Vec<String> {
    let file = syn::parse_file(source).expect("Rust");
    let mut scan = Scan::default();
    scan.visit_file(&file);
    scan.found
}

#[derive(Default)]
struct Scan {
    function: String,
    /// Variables of the function that are handed to guards alone.
    handed: Vec<String>,
    /// Variables of the function: what they hold is looked at where they are bound.
    bound: Vec<String>,
    /// Those of them that are a condition somewhere.
    asked: BTreeSet<String>,
    found: Vec<String>,
}

impl Scan {
    fn function(&mut self, name: &syn::Ident, body: &syn::Block) {
        self.function = name.to_string();
        (self.handed, self.bound) = (handed(body), bound(body));
        self.asked.clear();
        let found = self.found.len();
        loop {
            let asked = self.asked.len();
            self.found.truncate(found);
            self.visit_block(body);
            if self.asked.len() == asked {
                break;
            }
        }
    }

    fn binds(&self, name: &syn::Ident) -> bool {
        self.bound.iter().any(|bound| name == bound)
    }

    fn say(&mut self, what: &impl ToTokens) {
        let text = dense(&what.to_token_stream().to_string());
        self.found.push(format!("{}: {text}", self.function));
    }

    /// Says what of a condition is nobody's guard, and looks into the rest of it.
    fn condition(&mut self, expr: &Expr) {
        match expr {
            Expr::Paren(inner) => self.condition(&inner.expr),
            Expr::Unary(not) if matches!(not.op, syn::UnOp::Not(_)) => self.condition(&not.expr),
            Expr::Binary(both) if matches!(both.op, syn::BinOp::And(_) | syn::BinOp::Or(_)) => {
                self.condition(&both.left);
                self.condition(&both.right);
            }
            Expr::Let(one) if is_asked(&one.expr) => self.visit_expr(&one.expr),
            Expr::Closure(closure) => self.condition(&closure.body),
            Expr::Block(block) => {
                let last = block.block.stmts.len().saturating_sub(1);
                for (n, statement) in block.block.stmts.iter().enumerate() {
                    match statement {
                        syn::Stmt::Expr(expr, None) if n == last => self.condition(expr),
                        other => self.visit_stmt(other),
                    }
                }
            }
            _ if is_asked(expr) => self.visit_expr(expr),
            Expr::Lit(_) => {}
            Expr::Path(path) if path.path.get_ident().is_some_and(|name| self.binds(name)) => {
                self.asked.extend(path.path.get_ident().map(ToString::to_string));
            }
            // What it says is looked at where it stands.
            Expr::If(_) | Expr::Match(_) => self.visit_expr(expr),
            Expr::MethodCall(call) if is_one_of(call, &ASKING) => self.visit_expr(expr),
            other => self.say(other),
        }
    }
}

impl<'ast> Visit<'ast> for Scan {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        let is_test = |attr: &syn::Attribute| attr.to_token_stream().to_string().contains("test");
        if !module.attrs.iter().any(is_test) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig.ident, &item.block);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig.ident, &item.block);
    }

    fn visit_expr_if(&mut self, expr: &'ast syn::ExprIf) {
        self.condition(&expr.cond);
        self.visit_block(&expr.then_branch);
        if let Some((_, other)) = &expr.else_branch {
            self.visit_expr(other);
        }
    }

    fn visit_expr_while(&mut self, expr: &'ast syn::ExprWhile) {
        self.condition(&expr.cond);
        self.visit_block(&expr.body);
    }

    fn visit_expr_match(&mut self, expr: &'ast syn::ExprMatch) {
        if !is_asked(&expr.expr) {
            let scrutinee = expr.expr.to_token_stream().to_string();
            self.found.push(format!("{}: match {}", self.function, dense(&scrutinee)));
        }
        for arm in &expr.arms {
            if let Some((_, guard)) = &arm.guard {
                self.condition(guard);
            }
            self.visit_expr(&arm.body);
        }
    }

    fn visit_local(&mut self, local: &'ast Local) {
        let Some(init) = &local.init else { return };
        if let Some((_, other)) = &init.diverge {
            self.say(&init.expr);
            self.visit_expr(other);
            return;
        }
        let name = name_of(&local.pat).unwrap_or_default();
        if self.asked.contains(&name) || matches!(*init.expr, Expr::Closure(_)) {
            self.condition(&init.expr);
        } else if !self.handed.contains(&name) {
            self.visit_expr(&init.expr);
        }
    }

    fn visit_expr_try(&mut self, expr: &'ast syn::ExprTry) {
        self.say(expr);
    }

    fn visit_expr_binary(&mut self, expr: &'ast syn::ExprBinary) {
        use syn::BinOp::{And, Eq, Ge, Gt, Le, Lt, Ne, Or};
        match expr.op {
            And(_) | Or(_) => {
                self.condition(&expr.left);
                self.condition(&expr.right);
            }
            Eq(_) | Ne(_) | Lt(_) | Le(_) | Gt(_) | Ge(_) => self.say(expr),
            _ => visit::visit_expr_binary(self, expr),
        }
    }

    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        if is_guard(call) {
            // What is so is the guard's own condition.
            return;
        }
        if is_one_of(call, &CHOOSING) {
            self.say(call);
        } else if is_one_of(call, &ASKING) {
            self.visit_expr(&call.receiver);
            call.args.iter().for_each(|arg| self.condition(arg));
        } else {
            visit::visit_expr_method_call(self, call);
        }
    }

    /// `u8::from` of what is not a number.
    fn visit_expr_call(&mut self, call: &'ast ExprCall) {
        let is_from = call.func.to_token_stream().to_string() == "u8 :: from";
        match call.args.first() {
            Some(arg) if is_from => self.condition(arg),
            _ => visit::visit_expr_call(self, call),
        }
    }

    fn visit_macro(&mut self, of: &'ast syn::Macro) {
        if of.path.is_ident("debug_assert") {
            return;
        }
        self.say(of);
    }
}

/// Whether it is a guard that is asked, or what stands in the bounds, the protocol or the planted
/// bugs: each of these is a kernel of its own already.
fn is_asked(expr: &Expr) -> bool {
    match expr {
        Expr::MethodCall(call) => is_guard(call) || is_flag(call),
        Expr::Field(field) => {
            let text = dense(&field.to_token_stream().to_string());
            ["self.w.setup.", "w.setup.", "self.w.protocol.", "p."]
                .iter()
                .any(|start| text.strip_prefix(start).is_some_and(|rest| !rest.contains('.')))
                || text == "self.w.windows"
        }
        Expr::Path(path) => path.path.is_ident("T"),
        _ => false,
    }
}

fn is_one_of(call: &ExprMethodCall, names: &[&str]) -> bool {
    names.iter().any(|name| call.method == name)
}

/// `holds(Guard::..., what is so)`, `does(Guard::...)`, and so on.
fn is_guard(call: &ExprMethodCall) -> bool {
    is_one_of(call, &["holds", "does", "barrier", "sync"]) && begins_with(call, "Guard ::")
}

/// `has(Flag::...)`
fn is_flag(call: &ExprMethodCall) -> bool {
    is_one_of(call, &["has"]) && begins_with(call, "Flag ::")
}

fn begins_with(call: &ExprMethodCall, start: &str) -> bool {
    let first = call.args.first().map(|arg| arg.to_token_stream().to_string());
    first.is_some_and(|first| first.starts_with(start))
}

fn name_of(pat: &Pat) -> Option<String> {
    match pat {
        Pat::Ident(ident) => Some(ident.ident.to_string()),
        _ => None,
    }
}

/// The variables that stand alone in what guards are asked, and nowhere else.
fn handed(block: &syn::Block) -> Vec<String> {
    #[derive(Default)]
    struct Uses {
        by_guards: Vec<String>,
        by_others: Vec<String>,
        in_guard: bool,
    }
    impl<'ast> Visit<'ast> for Uses {
        fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
            let outer = self.in_guard;
            self.in_guard |= is_guard(call);
            visit::visit_expr_method_call(self, call);
            self.in_guard = outer;
        }
        fn visit_expr_path(&mut self, path: &'ast syn::ExprPath) {
            if let Some(name) = path.path.get_ident() {
                let uses = if self.in_guard { &mut self.by_guards } else { &mut self.by_others };
                uses.push(name.to_string());
            }
        }
        fn visit_macro(&mut self, of: &'ast syn::Macro) {
            self.by_others.extend(of.tokens.to_string().split_whitespace().map(str::to_owned));
        }
    }
    let mut uses = Uses::default();
    uses.visit_block(block);
    let Uses { mut by_guards, by_others, .. } = uses;
    by_guards.retain(|name| !by_others.contains(name));
    by_guards
}

/// The variables that a function binds by plain `let`s.
fn bound(block: &syn::Block) -> Vec<String> {
    struct Names(Vec<String>);
    impl<'ast> Visit<'ast> for Names {
        fn visit_local(&mut self, local: &'ast Local) {
            self.0.extend(name_of(&local.pat));
            visit::visit_local(self, local);
        }
    }
    let mut names = Names(Vec::new());
    names.visit_block(block);
    names.0
}

/// Tokens as one writes them.
fn dense(tokens: &str) -> String {
    let mut out = tokens.split_whitespace().collect::<Vec<_>>().join(" ");
    for (wide, tight) in [
        (" . ", "."),
        (" :: ", "::"),
        (" (", "("),
        ("( ", "("),
        (" )", ")"),
        (" [", "["),
        ("[ ", "["),
        (" ]", "]"),
        (" ,", ","),
        (" !(", "!("),
        (" ! ", " !"),
        ("(& ", "(&"),
        (" ;", ";"),
    ] {
        out = out.replace(wide, tight);
    }
    out
}
