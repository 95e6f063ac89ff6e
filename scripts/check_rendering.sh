#!/usr/bin/env bash
# Headless OpenGL for the simulated cameras: EGL with a driver, or OSMesa. Installs it as root on Debian or Ubuntu;
# elsewhere the error names the command.
set -euo pipefail

readonly debian_packages="libegl1 libgl1-mesa-dri"

has_library() {
    ldconfig -p 2>/dev/null | grep -q "^[[:space:]]*$1 " || compgen -G "/usr/lib*/$1" >/dev/null ||
        compgen -G "/usr/lib/*-linux-gnu/$1" >/dev/null
}

has_egl_driver() {
    has_library "libEGL_nvidia.so.0" || compgen -G "/usr/lib/*-linux-gnu/dri/*swrast_dri.so" >/dev/null ||
        compgen -G "/usr/lib*/dri/*swrast_dri.so" >/dev/null
}

can_render() {
    { has_library "libEGL.so.1" && has_egl_driver; } || has_library "libOSMesa.so.8" || has_library "libOSMesa.so.6"
}

can_render && exit 0
if [ "$(id -u)" -eq 0 ] && [ -f /etc/debian_version ] && command -v apt-get >/dev/null; then
    echo "installing $debian_packages for headless rendering"
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086
    if apt-get update -qq && apt-get install -y -qq --no-install-recommends $debian_packages >/dev/null; then
        can_render && exit 0
    fi
fi
command="sudo apt-get install -y $debian_packages"
if command -v dnf >/dev/null; then command="sudo dnf install -y mesa-libEGL mesa-dri-drivers"; fi
echo "error: headless rendering needs EGL with a driver, or OSMesa; run: $command" >&2
exit 1
