# Sourced by the scripts beside it: the environment that each of them runs in, made anew where it no longer fits.

# environment FOLDER STAMP ARGUMENT…: puts FOLDER's programs first on PATH, after `pip install ARGUMENT…` where STAMP, the text of
# what is installed, changed since. An environment whose Python is gone, or that was made in another folder, is made anew.
environment() {
    local venv="$1" stamp="$2" python="${PYTHON:-python3}"
    shift 2
    case "$venv" in /*) ;; *) venv="$PWD/$venv" ;; esac
    if ! _runs_here "$venv"; then
        # Only what is an environment already is cleared: nothing else that ERGO_VENV may name.
        if [ -f "$venv/pyvenv.cfg" ]; then "$python" -m venv --clear "$venv"; else "$python" -m venv "$venv"; fi
    fi
    if ! { [ "$stamp" = "$(cat "$venv/.installed" 2>/dev/null)" ] && _is_complete "$venv" "$@"; }; then
        rm -f "$venv/.installed"
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@"
        printf '%s\n' "$stamp" >"$venv/.installed"
    fi
    export PATH="$venv/bin:$PATH"
}

# The programs of an environment name its Python by path: in a folder that was moved or copied they run another one, or none.
_runs_here() {
    "$1/bin/python" -c '' 2>/dev/null && grep -qsF "$1/bin/" "$1/bin/pip"
}

# Whether the package is there, and is this folder's where it is installed as editable.
_is_complete() {
    local found
    found="$(cd / && "$1/bin/python" -c 'import ergo_cli; print(ergo_cli.__file__)' 2>/dev/null)" && [ -x "$1/bin/ergo" ] || return 1
    case " $* " in *" --editable "*) [ "$found" -ef ergo_cli/__init__.py ] ;; esac
}
