"""Facts in running text: 'my RTX 5090 (driver 570.124) with torch 2.6.0+cu124', 'Windows 11, Python 3.13'.

The least trusted of the readers: what a tool printed goes before it, and a line that speaks of what is required, offered or was
built elsewhere says nothing of what is here.
"""

from __future__ import annotations

import re

from envdoctor.reading.dumps import values
from envdoctor.reading.dumps.raw_values import Findings, Sheet
from envdoctor.reading.dumps.text import DumpLine

LONGEST = 600
_BEFORE = r"(?<![\w./\\+-])"
_AFTER = r"(?![\w-]|\.\d)"

# Lines about what somebody wants, offers or built; 'you have' in such a line says what is here.
_ELSEWHERE = re.compile(
    "|".join(
        (
            r"requirement|from versions|no matching distribution|requires?\b|depends? on|was built",
            r"(?:built|compiled) (?:for|with|against)|>=|<=|~=",
            r"expected|supports?\b|please|should (?:be|use)|upgrade to|downgrade|instead of|previous|used to|worked",
            r"unusable|no wheels?\b|we can conclude|unsatisfiable|candidates for|version solving|doesn't match any",
            r"can't be installed|only has wheels",
            r"works? (?:fine |well )?(?:on|with|in)|collecting |downloading|warning:.{0,40}found gpu|docker (?:pull|run)|^from ",
        )
    ),
    re.IGNORECASE,
)
_SENTENCES = re.compile(r"(?<=[a-z0-9)'\"][.;!?])\s+(?=[A-Za-z])")
# What is to be installed is not there yet; the machine that it is for is.
_INSTALLING = re.compile(r"(?:pip3?|conda|uv|mamba|poetry)\s+(?:install|add|create)", re.IGNORECASE)
_YOU_HAVE = re.compile(r"\(you have (?:(?:py)?torch )?([0-2]\.\d{1,2}\.\d{1,2}\S{0,40})\)", re.IGNORECASE)
_PIPS_CONFLICT = re.compile(r"but you(?:'ll)? have torch ([0-2]\.\d{1,2}\.\d{1,2}[\w.+]{0,40}) which is incompatible")
_WITH_CUDA = r"(?:with|for|and|built with|,)?\s?cuda[ -]?(\d{1,2}\.\d)"
_VARIANT = rf"(?:\s{{0,2}}[(,/]?\s{{0,2}}(?:(cu\d{{2,3}}|cpu|rocm[\d.]{{0,6}})\b|{_WITH_CUDA}))?"
_GAP = r"(?:\s{0,3}[=:@-]{1,3}\s{0,3}|\s{1,3})v?"
_TORCH = re.compile(
    rf"{_BEFORE}(?:(?:py)?torch(?:\s+version)?{_GAP}|torch\.__version__\W{{1,6}})([0-2]\.\d{{1,2}}[\w.+]{{0,60}}){_VARIANT}",
    re.IGNORECASE,
)
_NAMES = (
    "torchvision", "torchaudio", "torchcodec", "triton-windows", "triton", "xformers", "vllm", "flash[-_]attn", "bitsandbytes",
    "onnxruntime-gpu", "ctranslate2", "deepspeed", "numpy", "sglang", "flashinfer", r"nvidia-[\w-]{2,30}-cu\d\d",
)  # fmt: skip
_PACKAGE = re.compile(
    rf"{_BEFORE}({'|'.join(_NAMES)})(?:\s{{0,3}}[=:@]{{1,3}}\s{{0,3}}|\s{{1,40}})v?(\d{{1,3}}\.\d{{1,3}}[\w.+]{{0,40}})",
    re.IGNORECASE,
)
_PYTHON = re.compile(
    rf"{_BEFORE}python(?:\s+version)?[ :=-]{{0,3}}v?([23]\.\d{{1,2}}(?:\.\d{{1,2}})?)t?{_AFTER}", re.IGNORECASE
)
_DRIVER = re.compile(
    rf"{_BEFORE}(?:nvidia )?drivers?(?: version)?\s?(?:is |=|:)?\s{{0,2}}v?(\d{{3}}\.\d{{1,3}}(?:\.\d{{1,3}})?){_AFTER}",
    re.IGNORECASE,
)
_SMI = re.compile(
    r"NVIDIA-SMI (\d{3}\.[\d.]{2,8})\s{1,20}(?:KMD Version: \S+\s{1,20})?Driver Version: (\d{3}\.[\d.]{2,8})"
)
_SMI_CUDA = re.compile(r"CUDA (?:UMD )?Version: (\d{1,2}\.\d)")
_SYSTEMS = (
    r"Windows (?:10|11|Server \d{4})", r"Ubuntu \d\d\.\d\d", r"Debian \d{1,2}", r"Fedora \d\d", r"Rocky(?: Linux)? \d",
    r"RHEL \d", "Arch Linux", r"macOS(?: \d{1,2})?", "NixOS",
)  # fmt: skip
_SYSTEM = re.compile(rf"{_BEFORE}((?:{'|'.join(_SYSTEMS)})(?:\.\d+)?){_AFTER}", re.IGNORECASE)
_WSL = re.compile(r"\bWSL ?[12]?\b|microsoft-standard")
_MACHINE = re.compile(rf"{_BEFORE}(aarch64|arm64|x86_64|amd64){_AFTER}", re.IGNORECASE)
_CONTAINER_PROMPT = re.compile(r"\b[\w.-]{1,32}@[0-9a-f]{12}:[~/]\S*[#$]")
HOSTED_NOTEBOOK = (
    r"\b(?:on|in|using|with) (?:google )?colab\b|\bgoogle colab\b(?!\?)|\bcolab (?:t4|notebook|runtime|pro)\b"
    r"|\bkaggle (?:notebook|kernel)|/kaggle/working\b"
)
"""Words of a notebook that somebody else hosts: a container whose GPU is chosen in a menu."""
_CONTAINER_WORDS = re.compile(
    r"\b(?:inside|in|within) (?:(?:a|an|the|my|our|this) )?(?:\w+ )?(?:docker|podman|container|pod)\b"
    r"|\b(?:my|the|a|this|our|running) (?:running )?(?:docker|podman) container\b"
    r"|\bkubectl (?:logs|exec|describe|apply)\b"
    r"|^\$? ?(?:sudo )?(?:docker|podman) run\b|\bnvcr\.io/|\bimage: \S+[:/]\S|" + HOSTED_NOTEBOOK,
    re.IGNORECASE,
)

# 'GeForce RTX 4070 Ti SUPER', 'GTX 1050', 'RTX PRO 6000 Blackwell', 'RTX A6000', 'Tesla P40', 'A100-SXM4-80GB'.
_WORDS_BEHIND = (
    "Ti", "SUPER", "Max-Q", "Laptop GPU", "Laptop", "Mobile", "D", "Ada(?: Generation)?", "Blackwell", r"SXM\d?", "PCIE?",
    "NVL", r"\d{2,3} ?GB",
)  # fmt: skip
_SUFFIX = rf"(?:[ -]?(?:{'|'.join(_WORDS_BEHIND)})(?!\w)){{0,4}}"
_CARDS = (
    rf"(?:GeForce )?(?:RTX|GTX|GT|MX) ?(?:PRO )?A?\d{{3,4}}{_SUFFIX}",
    r"(?:GeForce )?TITAN (?:RTX|Xp|X|V)\b",
    r"Quadro (?:RTX )?[A-Z]?\d{3,4}\b",
    rf"Tesla [A-Z]\d{{1,3}}{_SUFFIX}",
    r"Jetson (?:AGX |TX|Xavier|Orin|Nano|Thor)[\w ]{0,12}",
    rf"(?:[AHB][1-3]00|[AH]800|H20|A10G|A30|A40|L40S?|V100S?|P100|GB200|GB300|GB10|GH200){_SUFFIX}",
    # Names that other things have as well, where NVIDIA stands before them.
    rf"(?<=NVIDIA[ -])(?:A2|A10|A16|L4|L20|T4|P4|P40|K80|M40|M60){_SUFFIX}",
)
_GPU = re.compile(rf"(?<![\w./\\-])(?:NVIDIA[ -])?(?:{'|'.join(_CARDS)})(?![\w/]|-\w)")
_SHORT = re.compile(
    r"(?<![\w./\\-])(?<!Tesla )(?<!NVIDIA )(A10|A16|L4|L20|T4|P4|P40|K80|M40|M60)(?= (?:GPU|card|instance|machine)s?\b)"
)
_TIMES = re.compile(r"(\d{1,2})\s?[x\u00d7*]\s?(?:NVIDIA )?$", re.IGNORECASE)
_CAPABILITY = re.compile(r"[\s(,:]{1,3}(?:cuda |compute )?(?:capability |cc |sm_)\(?(\d{1,2})\.?(\d)\b", re.IGNORECASE)
# conda's builds for the CPU: 'pytorch-1.10.0-py3.6_cpu_0', 'pytorch=1.9.0=py3.8_cpu_0'.
_CONDA_CPU = re.compile(r"\bpytorch[-=](\d\.\d{1,2}\.\d{1,2})[-=]py\d[\d.]{0,4}_cpu_\d")
# 'trained with torch 1.10.0+cu102, yours is 2.5.1' (pyannote, lightning): the second is what is here.
_YOURS = re.compile(r"\btorch [0-2]\.[\w.+]{1,30}, yours is ([0-2]\.\d{1,2}[\w.+]{0,30}?)(?=[.,;]?(?:\s|$))")
_CONDA_CUDA = re.compile(r"(?:conda|mamba) install\b.{0,200}\b(?:cudatoolkit|pytorch-cuda)=(\d{1,2}\.\d)\b")
_BARE = re.compile(r"([12]\.\d{1,2}\.\d{1,2}\+(?:cu\d{2,3}|cpu))\W{0,3}$")
"""A line that is nothing but torch's version: no other project writes its builds so."""
_ROW = re.compile(r"torch\s{2,60}([0-2]\.\d{1,2}\.\d{1,2}[\w.+]{0,60})(?:\s.{0,80})?$")
"""A row of `pip list` without its header."""
LAYOUT = "prose"


class Prose:
    """Takes the lines that no other reader knows, and lets every one of them pass on as a message."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings

    def take(self, line: DumpLine) -> None:
        bare = line.bare[:LONGEST].replace("**", "").replace("`", "")
        self._place(bare)
        smi = _SMI.search(bare)
        if smi:
            self._sheet().put("driver", smi[2])
            if cuda := _SMI_CUDA.search(bare):
                self._sheet().put("cuda", cuda[1])
        have = _YOU_HAVE.search(bare)
        if have and "ython" not in bare[: have.start()]:
            self._sheet().put("torch.version", have[1])
        pips = _PIPS_CONFLICT.search(bare)
        if pips:
            self._sheet().put("torch.version", pips[1])
            self._sheet().packages.setdefault("torch", pips[1])
        cpu = _CONDA_CPU.search(bare)
        if cpu:
            self._sheet().values["torch.version"] = f"{cpu[1]}+cpu"
            self._sheet().values.pop("torch.cuda", None)
        conda = _CONDA_CUDA.search(bare)
        if conda and "+cpu" not in (self._sheet().get("torch.version") or "") and not cpu:
            self._sheet().put("torch.cuda", conda[1])
        yours = _YOURS.search(bare)
        if yours:
            self._sheet().put("torch.version", yours[1])
            return
        # One sentence may be about another machine, and the next about this one.
        for sentence in _SENTENCES.split(bare):
            if _ELSEWHERE.search(sentence):
                continue
            if not _INSTALLING.search(sentence):
                self._software(sentence)
            self._machine(sentence)
            self._gpus(sentence)

    def _sheet(self) -> Sheet:
        return self.findings.current(LAYOUT)

    def _place(self, bare: str) -> None:
        """Where it happens: the system, its processor, a container."""
        wsl = _WSL.search(bare)
        for system in _SYSTEM.finditer(bare):
            # 'Windows 11, WSL2 with Ubuntu 24.04' is about the Linux inside.
            if not (wsl and system[1].lower().startswith("windows")):
                self._sheet().put("os", system[1])
        if wsl:
            self._sheet().put("wsl", "yes")
        if _CONTAINER_PROMPT.search(bare) or _CONTAINER_WORDS.search(bare):
            self._sheet().put("container", "docker")
        machine = _MACHINE.search(bare)
        if machine:
            self._sheet().put("machine", {"amd64": "x86_64"}.get(machine[1].lower(), machine[1].lower()))

    def _software(self, bare: str) -> None:
        row = _ROW.match(bare) or _BARE.match(bare)
        torch = None if row else _TORCH.search(bare)
        version = values.torch(row[1] if row else torch[1].rstrip(".,") if torch else None)
        if row and version:
            self._sheet().packages.setdefault("torch", version)
        if version:
            local = torch and torch[2] and "+" not in version and torch[2].lower()
            self._sheet().put("torch.version", f"{version}+{local}" if local else version)
            if torch and torch[3]:
                self._sheet().put("torch.cuda", torch[3])
        for package in _PACKAGE.finditer(bare):
            self._sheet().packages.setdefault(package[1], package[2].rstrip(".,"))
        found = _PYTHON.search(bare)
        if found:
            self._sheet().put("python", found[1])

    def _machine(self, bare: str) -> None:
        found = _DRIVER.search(bare)
        if found:
            self._sheet().put("driver", found[1])

    def _gpus(self, bare: str) -> None:
        for found in (*_GPU.finditer(bare), *_SHORT.finditer(bare)):
            capability = _CAPABILITY.match(bare, found.end())
            times = _TIMES.search(bare, max(found.start() - 12, 0), found.start())
            row = f"{found[0].strip()}\t{f'{capability[1]}.{capability[2]}' if capability else ''}"
            seen = self._sheet().lists.get("names", [])
            if row not in seen:
                for _ in range(min(int(times[1]), 16) if times else 1):
                    self._sheet().add("names", row)
