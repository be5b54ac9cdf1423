"""The walls between the packages: who imports what, and that only commands print, exit or read sys.argv."""

import ast

PURE = ("apel.records", "apel.messages", "apel.parsers", "apel.identity", "apel.identity_map")
NO_DATABASE = ("apel.db", "sqlite3", "pymysql", "MySQLdb")
NO_NETWORK = ("socket", "ssl", "http", "urllib.request", "smtplib", "ftplib", "ldap", "requests", "stomp")
NO_CONFIG = ("configparser", "argparse", "apelcommon.config", "apelcommon.options", "apelcommon.command")
# library -> the only modules that may import it
CLIENTS = {
    "pymysql": ("apel/db/mysql.py",),
    "MySQLdb": ("apel/db/mysql.py",),
    "sqlite3": ("apel/db/sqlite.py",),
    "stomp": ("ssm/transport/stomp.py", "ssm/transport/wire.py"),
}
# The frame of all commands; it lives in apelcommon since both families have commands.
COMMANDS = ("apel.commands", "ssm.commands", "apelcommon.command")
# (path, deed) that is right where it stands.
KNOWN = {
    ("apelcommon/daemon.py", "os._exit"),  # how the parents of a daemon's two forks go
}
# Longer than 400 lines, knowingly: path -> why.
LONG = {}


def below(name, *tops):
    return any(name == top or name.startswith(top + ".") for top in tops)


def breaches(modules, of, what):
    """Imports of `what` in the modules that `of` picks, as 'path:line imports name'."""
    return [
        "%s:%d imports %s" % (module.path, line, name)
        for module in modules
        if of(module)
        for name, line in sorted(module.imports())
        if below(name, *what)
    ]


def test_apelcommon_knows_neither_apel_nor_ssm(modules):
    assert breaches(modules, lambda module: below(module.name, "apelcommon"), ("apel", "ssm")) == []


def test_ssm_never_imports_apel(modules):
    assert breaches(modules, lambda module: below(module.name, "ssm"), ("apel",)) == []


def test_apel_meets_ssm_only_in_commands(modules):
    def outside(module):
        return below(module.name, "apel") and not below(module.name, "apel.commands")

    assert breaches(modules, outside, ("ssm",)) == []


def test_records_messages_parsers_identity_do_no_input_or_output(project_imports):
    forbidden = NO_DATABASE + NO_NETWORK + NO_CONFIG
    found = {
        name: sorted(imported for imported in imports if below(imported, *forbidden))
        for name, imports in project_imports.items()
        if below(name, *PURE)
    }
    assert {name: imports for name, imports in found.items() if imports} == {}


def test_a_client_library_stays_behind_its_module(modules):
    for library, owners in sorted(CLIENTS.items()):
        assert breaches(modules, lambda module, owners=owners: module.path not in owners, (library,)) == []


def test_only_commands_print_exit_or_read_arguments(modules):
    found = [
        "%s:%d %s" % (module.path, node.lineno, deed)
        for module in modules
        if not below(module.name, *COMMANDS)
        for node in ast.walk(module.tree)
        for deed in [talks(node)]
        if deed and (module.path, deed) not in KNOWN
    ]
    assert found == []


def talks(node):
    """What a syntax node does that is a command's alone, or None."""
    if isinstance(node, ast.Call):
        name = dotted(node.func)
        if name in ("print", "input", "exit", "quit", "sys.exit", "os._exit", "sys.stdout.write"):
            return name
    if isinstance(node, ast.Attribute) and dotted(node) == "sys.argv":
        return "sys.argv"
    if isinstance(node, ast.Raise) and node.exc is not None:
        name = dotted(node.exc.func if isinstance(node.exc, ast.Call) else node.exc)
        return name if name == "SystemExit" else None
    return None


def dotted(node):
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return "%s.%s" % (dotted(node.value), node.attr)
    return ""


def test_importing_a_module_does_nothing(modules):
    """Module level holds definitions: no calls for their effect, no loops, no files opened."""
    found = [
        "%s:%d %s" % (module.path, node.lineno, type(node).__name__)
        for module in modules
        for node in module.tree.body
        if isinstance(node, (ast.For, ast.While, ast.With, ast.Delete, ast.Assert))
        or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call))
    ]
    assert found == []


def test_every_module_says_why_it_exists(modules):
    assert [module.path for module in modules if not ast.get_docstring(module.tree)] == []


def test_modules_are_short(modules):
    lengths = {module.path: module.text.count("\n") for module in modules}
    assert {path: n for path, n in lengths.items() if n > 400 and path not in LONG} == {}
