// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.0;

interface Vm {
    function startBroadcast() external;
    function stopBroadcast() external;
}

/// Two transfers in one script: what `forge script --broadcast` simulates, signs, sends and waits for.
contract Pay {
    Vm private constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    function run(address payable to) external {
        vm.startBroadcast();
        to.transfer(1 ether);
        to.transfer(2 ether);
        vm.stopBroadcast();
    }
}
