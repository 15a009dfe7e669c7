"""What an app in INSTALLED_APPS costs at each start: the CPU time of `manage.py check`, with it and without.

python -m tests.benchmarks.start_up

The project without is what `startproject` gives, admin included: its apps, its middleware, its admin in the URLs. With
this app, `django_countries` and our URLs are added, as the README says; with a peer what its own installation says. Each
is a process of its own, in turn; user and system time as the kernel counts them.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

RUNS = 15
LIMIT = 1.13
ROOT = Path(__file__).parent.parent.parent

PROJECT = """
from pathlib import Path
SECRET_KEY = "start-up only, of a project that serves nobody"
ROOT_URLCONF = "urls"
USE_TZ = True
STATIC_URL = "static/"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": Path(__file__).parent / "db.sqlite3"}}
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
"""
URLS = """
from django.contrib import admin
from django.urls import include, path
urlpatterns = [path("admin/", admin.site.urls)]
"""
WITHOUT = "the project without"
# What each adds to the settings, and to the URLs.
ADDED = {
    WITHOUT: ("", ""),
    "mollie_onboarding": (
        """
INSTALLED_APPS += ["django_countries", "mollie_onboarding"]
MOLLIE_ONBOARDING_CLIENT_ID = "app_test"
MOLLIE_ONBOARDING_CLIENT_SECRET = "client-secret"
MOLLIE_ONBOARDING_ACCESS_TOKEN = "access_partner"
MOLLIE_ONBOARDING_ENCRYPTION_KEYS = ["hzdvT6RLd0FFNWhCVLdK8S8Eug3SSHVqbyXiHTUJKyU="]
MOLLIE_ONBOARDING_BASE_URL = "https://platform.example"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
""",
        'urlpatterns += [path("onboarding/", include("mollie_onboarding.urls"))]',
    ),
    "django-allauth's socialaccount, with a provider": (
        """
INSTALLED_APPS += ["allauth", "allauth.account", "allauth.socialaccount", "allauth.socialaccount.providers.github"]
MIDDLEWARE += ["allauth.account.middleware.AccountMiddleware"]
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
""",
        'urlpatterns += [path("accounts/", include("allauth.urls"))]',
    ),
    "social-auth-app-django, with a backend": (
        """
INSTALLED_APPS += ["social_django"]
AUTHENTICATION_BACKENDS = [
    "social_core.backends.github.GithubOAuth2",
    "django.contrib.auth.backends.ModelBackend",
]
""",
        'urlpatterns += [path("social/", include("social_django.urls"))]',
    ),
}


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        projects = {name: make_project(Path(directory), name) for name in ADDED}
        for project in projects.values():
            check(project)  # compiles what is not compiled, and fills the caches of the disc
        seconds: dict[str, list[float]] = {name: [] for name in ADDED}
        for _ in range(RUNS):
            for name, project in projects.items():
                seconds[name].append(check(project))
    _print(seconds)


def _print(seconds: dict[str, list[float]]) -> None:
    without = statistics.median(seconds[WITHOUT])
    print(
        f"\nCPU time of `manage.py check`, medians of {RUNS} processes each, in turn; limit {LIMIT} for ours.\n"
    )
    print(f"{'':50}{'s':>8}{'ratio':>8}{'quartiles':>18}")
    for name, some in seconds.items():
        low, median, high = statistics.quantiles(some, n=4)
        print(f"{name:50}{median:8.3f}{median / without:8.2f}{low:9.3f} to {high:.3f}")


def make_project(directory: Path, name: str) -> Path:
    """A project of its own in the directory, with what the name stands for in `ADDED`."""
    settings, urls = ADDED[name]
    project = directory / f"project_{len(list(directory.iterdir()))}"
    project.mkdir()
    (project / "settings.py").write_text(PROJECT + settings)
    (project / "urls.py").write_text(URLS + urls)
    return project


def check(project: Path) -> float:
    """The CPU seconds of one `check`, user's and system's."""
    command = [sys.executable, "-m", "django", "check"]
    with subprocess.Popen(command, env=_environment(project), stdout=subprocess.DEVNULL) as process:
        _pid, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, f"check failed in {project}"
    return usage.ru_utime + usage.ru_stime


def run(project: Path, script: str) -> str:
    """What a script in the project prints."""
    command = [sys.executable, script]
    done = subprocess.run(
        command, cwd=project, env=_environment(project), capture_output=True, text=True, check=True
    )
    return done.stdout


def _environment(project: Path) -> dict[str, str]:
    return os.environ | {
        "DJANGO_SETTINGS_MODULE": "settings",
        "PYTHONPATH": os.pathsep.join([str(project), str(ROOT)]),
        # All bytecode in one place, also where the environment wants none written: else ours alone would be compiled
        # with each start, and not what pip has installed.
        "PYTHONDONTWRITEBYTECODE": "",
        "PYTHONPYCACHEPREFIX": str(project.parent / "bytecode"),
    }


if __name__ == "__main__":
    main()
