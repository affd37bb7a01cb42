"""Names that give nobody away, which redaction leaves as they are."""

from __future__ import annotations

import re


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Accounts that images and clouds make, and words that paths and messages are made of: nobody is known by such a name.
RESERVED = _words(
    """
    root user users ubuntu debian admin administrator ec2-user azureuser opc centos rocky fedora nvidia jovyan
    runner vscode coder mambauser linuxbrew app appuser docker node nobody guest public shared default localhost
    colab cuda cudnn nccl torch pytorch vision torchvision torchaudio triton python python3 pip conda anaconda
    anaconda3 miniconda miniconda3 miniforge3 mambaforge venv envs env home homes dev proc sys etc usr var run
    lib lib64 bin sbin opt local share include src tmp mnt media data work workspace workspaces project projects
    scratch code repo build site packages site-packages dist-packages compat stubs targets system windows
    program files appdata roaming software apps tools model models dataset datasets train training test tests
    host hosts server client gpu gpus driver drivers kernel module modules version error warning
    """
)

PUBLIC_GROUPS = _words(
    """
    root daemon bin sys adm tty disk lp mail news man sudo wheel audio dip video plugdev staff games users
    nogroup nobody input sgx kvm render lpadmin sambashare netdev docker lxd libvirt libvirtd cdrom floppy tape
    dialout fax voice operator systemd-journal systemd-network systemd-resolve ssh crontab messagebus vglusers
    nvidia-persistenced ollama microk8s podman podman-compose scanner bluetooth utmp shadow src backup www-data
    irc gnats uucp proxy list kmem storage power network optical lock gdm admin everyone _lpoperator wireshark
    vboxusers i2c gpio spi weston-launch
    """
)

# Hosts that everybody uses, by the end of their names.
PUBLIC_HOSTS = (
    "pytorch.org",
    "pypi.org",
    "pypi.python.org",
    "pythonhosted.org",
    "python.org",
    "nvidia.com",
    "nvcr.io",
    "github.com",
    "githubusercontent.com",
    "github.io",
    "gitlab.com",
    "anaconda.com",
    "anaconda.org",
    "conda-forge.org",
    "prefix.dev",
    "huggingface.co",
    "hf.co",
    "docker.io",
    "docker.com",
    "ghcr.io",
    "quay.io",
    "ubuntu.com",
    "launchpad.net",
    "debian.org",
    "kernel.org",
    "redhat.com",
    "fedoraproject.org",
    "archlinux.org",
    "opensuse.org",
    "intel.com",
    "amd.com",
    "arm.com",
    "microsoft.com",
    "aka.ms",
    "google.com",
    "goo.gl",
    "bit.ly",
    "stackoverflow.com",
    "readthedocs.io",
    "numpy.org",
    "scipy.org",
    "tensorflow.org",
    "openmp.org",
    "llvm.org",
    "gnu.org",
    "astral.sh",
    "mozilla.org",
    "wikipedia.org",
    "example.com",
    "example.org",
)

# Parts of a private host's URL that say what is served there.
PUBLIC_PATH = re.compile(
    r"|x|simple|whl|whl2|cpu|cu\d{2,3}|rocm[\d.]+|xpu|pypi|api|conda|channels?|main|free|pkgs|wheels?|packages?|nightly|test"
    r"|stable|release|linux-64|linux-aarch64|win-64|noarch|repository|artifactory|nexus|torch|pytorch|nvidia|cuda"
    r"|[\w.+%-]+\.(?:whl|tar\.gz|conda|tar\.bz2)",
    re.IGNORECASE,
)
