@echo off
rem Makes everything that the Worker needs in a Cloudflare account; see docs/deployment.md.
rem All arguments go to the Python script: --dry-run shows what it would do.
setlocal
cd /d "%~dp0.." || exit /b 1
where py >nul 2>nul
if errorlevel 1 (python scripts\setup_cloudflare.py %*) else (py -3 scripts\setup_cloudflare.py %*)
exit /b %errorlevel%
