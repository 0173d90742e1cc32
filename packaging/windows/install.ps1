<#
.SYNOPSIS
Installs vbgcam for the user who runs this, and, where asked for, a virtual camera named "VBG Camera".

.DESCRIPTION
    powershell -ExecutionPolicy Bypass -File install.ps1 [-Wheel FILE] [-Torch cpu|cuda|none] [-TorchIndex ADDRESS]
    powershell -ExecutionPolicy Bypass -File install.ps1 -UnityCapture FOLDER
    powershell -ExecutionPolicy Bypass -File install.ps1 -Remove

Everything goes into %LOCALAPPDATA%\vbgcam: an environment with the program and the Python packages it needs, and
bin\vbgcam.cmd, which is put on the user's PATH. The start menu gets an entry. No rights of an administrator are needed,
but for -UnityCapture.

The environment is made beside the one in use and takes its place when it can be loaded: there is a whole one or none.

.PARAMETER Wheel
vbgcam's wheel. Left out: the newest one beside this script, or else in dist\ of the checkout that it lies in.

.PARAMETER Torch
cpu    PyTorch for the processor, from the usual index: 0.5 GB to fetch, 2 GB on the disk. The default.
cuda   PyTorch for NVIDIA cards: about 3 GB to fetch. Needs -TorchIndex.
none   no PyTorch: the default network and all ONNX ones, green screen, empty room.

.PARAMETER TorchIndex
Where PyTorch's makers keep their builds for a version of CUDA; https://pytorch.org/get-started names it for each.

.PARAMETER UnityCapture
The folder with UnityCaptureFilter32.dll and UnityCaptureFilter64.dll (its makers' archive has it as "Install"), which
must stay there. Registers them as the camera "VBG Camera". Windows asks for an administrator.

.PARAMETER Remove
Takes all of it away. Settings, pictures and weights stay.
#>
[CmdletBinding(DefaultParameterSetName = 'Install')]
param(
    [Parameter(ParameterSetName = 'Install')] [string] $Wheel = '',
    [Parameter(ParameterSetName = 'Install')] [ValidateSet('cpu', 'cuda', 'none')] [string] $Torch = 'cpu',
    [Parameter(ParameterSetName = 'Install')] [string] $TorchIndex = '',
    [Parameter(ParameterSetName = 'Camera', Mandatory = $true)] [string] $UnityCapture,
    [Parameter(ParameterSetName = 'Remove', Mandatory = $true)] [switch] $Remove
)
$ErrorActionPreference = 'Stop'
Set-StrictMode -Version 2

$place = Join-Path $env:LOCALAPPDATA 'vbgcam'
$current = Join-Path $place 'env'
$bin = Join-Path $place 'bin'
$entry = Join-Path ([Environment]::GetFolderPath('Programs')) 'VBG Camera.lnk'

function Say([string] $text) {
    Write-Host "install: $text"
}

function Fail([string] $text) {
    Write-Host "install: $text"
    exit 1
}

# A Python 3.11 or newer, 64 bit: PyTorch has no other builds.
function Find-Python {
    $probe = 'import sys; assert sys.version_info >= (3, 11) and sys.maxsize > 2**32; print(sys.executable)'
    foreach ($command in @('py', '-3'), @('python'), @('python3')) {
        if (-not (Get-Command $command[0] -ErrorAction SilentlyContinue)) {
            continue
        }
        $rest = @($command | Select-Object -Skip 1)
        $found = & $command[0] @rest '-c' $probe 2>$null
        if ($LASTEXITCODE -eq 0 -and $found) {
            return [string] $found
        }
    }
    Fail 'no 64 bit Python 3.11 or newer was found; install one: winget install Python.Python.3.12'
}

function Find-Wheel {
    foreach ($folder in $PSScriptRoot, (Join-Path $PSScriptRoot '..\..\dist')) {
        $found = Get-ChildItem -Path $folder -Filter 'vbgcam-*.whl' -ErrorAction SilentlyContinue |
            Sort-Object LastWriteTime | Select-Object -Last 1
        if ($found) {
            return $found.FullName
        }
    }
    Fail 'there is no wheel beside this script; name it: -Wheel FILE'
}

function Invoke-Pip([string] $python, [string[]] $words) {
    & $python -P -m pip install --disable-pip-version-check --no-input --only-binary ':all:' @words
    if ($LASTEXITCODE -ne 0) {
        Fail 'pip could not install what vbgcam needs; what it said stands above. The same command tries again'
    }
}

function Test-Running {
    $mine = Get-CimInstance Win32_Process -Filter "Name like 'python%'" |
        Where-Object { $_.ExecutablePath -and $_.ExecutablePath.StartsWith($current, 'OrdinalIgnoreCase') }
    return [bool] $mine
}

function Set-UserPath([bool] $with) {
    $words = @(([string] [Environment]::GetEnvironmentVariable('Path', 'User')) -split ';' |
        Where-Object { $_ -and $_ -ne $bin })
    if ($with) {
        $words += $bin
    }
    [Environment]::SetEnvironmentVariable('Path', ($words -join ';'), 'User')
}

function Install-Program {
    if ($Torch -eq 'cuda' -and -not $TorchIndex) {
        Fail 'for CUDA say where: -TorchIndex ADDRESS, which https://pytorch.org/get-started names'
    }
    if (Test-Running) {
        Fail 'vbgcam runs; end it first: vbgcam quit'
    }
    $base = Find-Python
    $file = if ($Wheel) { (Resolve-Path -LiteralPath $Wheel).Path } else { Find-Wheel }
    $new = Join-Path $place 'env.new'
    New-Item -ItemType Directory -Force -Path $place, $bin | Out-Null
    Remove-Item -LiteralPath $new -Recurse -Force -ErrorAction SilentlyContinue
    Say "1 of 4: an environment with $base"
    & $base -m venv $new
    if ($LASTEXITCODE -ne 0) {
        Fail "$base could not make an environment in $new"
    }
    $python = Join-Path $new 'Scripts\python.exe'

    # What the wheel asks for, without PyTorch where that is not wanted.
    $asked = & $python -P -c @'
import sys, zipfile
from email import message_from_bytes
with zipfile.ZipFile(sys.argv[1]) as wheel:
    name = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    lines = message_from_bytes(wheel.read(name)).get_all("Requires-Dist")
for line in lines:
    if "extra ==" not in line:
        print(line)
'@ $file
    $parts = @($asked | Where-Object { $_ -match '^torch' })
    $others = @($asked | Where-Object { $_ -notmatch '^torch' })
    if ($Torch -eq 'none') {
        Say '2 of 4: no PyTorch'
    } else {
        Say "2 of 4: PyTorch ($Torch)"
        # Both at once and from one place: builds that do not belong together do not work together.
        $index = @(if ($TorchIndex) { '--index-url', $TorchIndex })
        Invoke-Pip $python ($index + $parts)
    }
    Say '3 of 4: everything else'
    Invoke-Pip $python $others
    Invoke-Pip $python @('--no-deps', $file)

    Say '4 of 4: trying it'
    & $python -P -m vbgcam --version
    if ($LASTEXITCODE -ne 0) {
        Fail 'it was installed but does not start'
    }
    Remove-Item -LiteralPath $current -Recurse -Force -ErrorAction SilentlyContinue
    Rename-Item -LiteralPath $new -NewName 'env'
    $python = Join-Path $current 'Scripts\python.exe'
    Set-Content -LiteralPath (Join-Path $bin 'vbgcam.cmd') -Encoding ascii -Value @(
        '@"%~dp0..\env\Scripts\python.exe" -P -m vbgcam %*'
    )
    Set-UserPath $true
    $shell = New-Object -ComObject WScript.Shell
    $link = $shell.CreateShortcut($entry)
    $link.TargetPath = Join-Path $current 'Scripts\pythonw.exe'
    $link.Arguments = '-P -m vbgcam run'
    $link.Description = 'Another background for your webcam, in every call'
    $link.Save()
    Say 'done; in a new terminal: vbgcam doctor, which says what is missing, the virtual camera for one'
}

function Register-Camera {
    $folder = (Resolve-Path -LiteralPath $UnityCapture).Path
    $pairs = @(
        @('System32', 'UnityCaptureFilter64.dll'),
        @('SysWOW64', 'UnityCaptureFilter32.dll')
    )
    foreach ($pair in $pairs) {
        $dll = Join-Path $folder $pair[1]
        if (-not (Test-Path -LiteralPath $dll)) {
            Fail "$dll is not there; name the folder of Unity Capture that has it (Install)"
        }
        $program = Join-Path $env:SystemRoot (Join-Path $pair[0] 'regsvr32.exe')
        $words = '/s "/i:UnityCaptureName=VBG Camera" "{0}"' -f $dll
        $done = Start-Process -FilePath $program -ArgumentList $words -Verb RunAs -Wait -PassThru
        if ($done.ExitCode -ne 0) {
            Fail "$($pair[1]) was not registered (regsvr32 ended with $($done.ExitCode))"
        }
    }
    Say 'the camera "VBG Camera" is there; programs list it when they start anew'
}

function Remove-Program {
    if (Test-Running) {
        Fail 'vbgcam runs; end it first: vbgcam quit'
    }
    # The data folder lies here as well: only what this script made goes.
    foreach ($path in $current, (Join-Path $place 'env.new'), $bin, $entry) {
        Remove-Item -LiteralPath $path -Recurse -Force -ErrorAction SilentlyContinue
    }
    Set-UserPath $false
    Say 'vbgcam is gone; settings and pictures stay in %LOCALAPPDATA%\vbgcam'
    Say 'a camera of Unity Capture goes with its own Uninstall.bat'
}

switch ($PSCmdlet.ParameterSetName) {
    'Camera' { Register-Camera }
    'Remove' { Remove-Program }
    default { Install-Program }
}
